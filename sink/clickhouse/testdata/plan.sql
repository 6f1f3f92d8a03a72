-- t: mark as "no longer filled" o`ld
-- not wanted any more: left out of the selection, or stored elsewhere by this version; the values stay; automatic true, blocking false
ALTER TABLE `d`.`t` COMMENT COLUMN `o\`ld` 'no longer filled: Zoho Desk t.o\'ld';

-- t: add _epoch, n
-- missing; automatic true, blocking false
ALTER TABLE `d`.`t` ADD COLUMN IF NOT EXISTS `_epoch` UInt64 COMMENT 'Which leader wrote the row', ADD COLUMN IF NOT EXISTS `n` Nullable(String) COMMENT 'Zoho Desk t.n (backfill pending)' CODEC(ZSTD(1));

-- t: fill again b
-- wanted again; automatic true, blocking false
ALTER TABLE `d`.`t` COMMENT COLUMN `b` 'Zoho Desk t.b (backfill pending)';

-- t: write the comment of a
-- the comment differs; automatic true, blocking false
ALTER TABLE `d`.`t` COMMENT COLUMN `a` 'Zoho Desk t.a';

-- t: write the table's comment
-- the comment differs; automatic true, blocking false
ALTER TABLE `d`.`t` MODIFY COMMENT 'deskhouse 2: c';

-- t: change the type of a back to Nullable(Int64)
-- t.a is Nullable(String) instead of Nullable(Int64); automatic false, blocking true
ALTER TABLE `d`.`t` MODIFY COLUMN `a` Nullable(Int64);

-- t: drop the column o`ld with its values
-- no longer filled; of records that are not read again, as deleted ones, nothing else has these values; automatic false, blocking false
ALTER TABLE `d`.`t` DROP COLUMN IF EXISTS `o\`ld`;

-- u: rename the table to old_u_2; deskhouse makes it anew and reads its rows from Zoho again, but those deleted there
-- u is a MergeTree ordered by (x, table) instead of a ReplacingMergeTree ordered by (id); automatic false, blocking true
RENAME TABLE `d`.`u` TO `d`.`old_u_2`;

-- v: make the table with 5 columns
-- it does not exist; automatic true, blocking false
CREATE TABLE IF NOT EXISTS `d`.`v`
(
    `id` UInt64 COMMENT 'Zoho Desk t.id',
    `a` Nullable(Int64) COMMENT 'Zoho Desk t.a',
    `b` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk t.b',
    `_epoch` UInt64 COMMENT 'Which leader wrote the row',
    `n` Nullable(String) COMMENT 'Zoho Desk t.n' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`id`)
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'deskhouse 2: c';

