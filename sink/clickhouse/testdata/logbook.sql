CREATE TABLE IF NOT EXISTS `desk`.`sync_status_all`
(
    `table` LowCardinality(String) COMMENT 'Table of this database',
    `phase` LowCardinality(String) COMMENT 'What is being done: snapshot, following, resync, …',
    `complete_until` Nullable(DateTime64(3, 'UTC')) COMMENT 'Every change at Zoho up to here is in the table (UTC); NULL while the first load runs',
    `last_event_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Time of the last webhook event applied (UTC)',
    `last_poll_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Time of the last complete poll (UTC)',
    `last_resync_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the last complete comparison with Zoho (UTC)',
    `drift` UInt64 COMMENT 'Rows the last comparison found different',
    `unplaced` UInt64 COMMENT 'Values that went to _extra since the service started',
    `error` String COMMENT 'What keeps rows from being written, since when and how often it was tried; empty while nothing does',
    `saved_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this was written (UTC)',
    `_version` UInt64 DEFAULT toUInt64(toUnixTimestamp64Micro(now64(6))) COMMENT 'Version of the row; the largest is the current one'
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`table`)
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'deskhouse 2: freshness of each table';

CREATE TABLE IF NOT EXISTS `desk`.`sync_runs_all`
(
    `run` String COMMENT 'Comparison',
    `table` LowCardinality(String) COMMENT 'Table of this database',
    `trigger` LowCardinality(String) COMMENT 'What started it: command, cron, restore, demo, poll',
    `started_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Start (UTC)',
    `finished_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'End (UTC); NULL while it runs',
    `read` UInt64 COMMENT 'Records that Zoho showed',
    `unchanged` UInt64 COMMENT 'Rows that were right',
    `repaired` UInt64 COMMENT 'Rows whose content was corrected or added',
    `deleted` UInt64 COMMENT 'Rows found deleted at Zoho',
    `resurrected` UInt64 COMMENT 'Deleted rows found alive at Zoho',
    `missed_by_search` UInt64 COMMENT 'Rows that exist but that reading everything did not return',
    `not_visible` UInt64 COMMENT 'Rows kept because the agent may not see them any more',
    `incomplete` UInt8 COMMENT '1 when not everything could be read, so nothing was deleted',
    `error` String COMMENT 'Why it ended early; empty when it did not',
    `backfilled` UInt64 COMMENT 'Rows that were right and written once more for a column they lacked',
    `saved_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this was written (UTC)',
    `_version` UInt64 DEFAULT toUInt64(toUnixTimestamp64Micro(now64(6))) COMMENT 'Version of the row; the largest is the current one'
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`run`, `table`)
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'deskhouse 2: drift reports, one row for each comparison and table';

CREATE TABLE IF NOT EXISTS `desk`.`changes_all`
(
    `org_id` UInt64 COMMENT 'Zoho Desk organization (portal) id',
    `change_id` UInt64 COMMENT 'Hash of the source event; a replay has the same',
    `table` LowCardinality(String) COMMENT 'Table of this database',
    `id` UInt64 COMMENT 'Id of the record; 0 in tables keyed by name',
    `key` String COMMENT 'Key of the record as text',
    `op` LowCardinality(String) COMMENT 'What became of the row: insert, update, delete, restore',
    `at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When it happened as far as is known, on Zoho\'s clock (UTC)',
    `received_at` DateTime64(3, 'UTC') COMMENT 'When it arrived (UTC)',
    `origin` LowCardinality(String) COMMENT 'How it was learned: webhook, poll, resync, restore (a resync after a loss), re-read, hydration (read by id for the detail table), bin',
    `event_type` LowCardinality(String) COMMENT 'Zoho\'s event type, for webhooks',
    `row_version` UInt64 COMMENT '_version of the row it made',
    `modified_by` Nullable(UInt64) COMMENT 'Agent whom the record names as the last to modify it: who made the change, where Zoho says',
    `changed` Array(LowCardinality(String)) COMMENT 'Columns that got another value; of every table those that analysts follow (labels, ids, times, flags), where history is full all content columns',
    `old` Array(Nullable(String)) COMMENT 'Their values before, as text, one for each of changed; all NULL for an insert' CODEC(ZSTD(1)),
    `new` Array(Nullable(String)) COMMENT 'Their values after, as text, one for each of changed' CODEC(ZSTD(1)),
    `previous` Nullable(String) COMMENT 'State before the change as JSON, where Zoho sends it and history is full' CODEC(ZSTD(1)),
    `_version` UInt64 DEFAULT toUInt64(toUnixTimestamp64Micro(now64(6))) COMMENT 'Version of the row; the largest is the current one'
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`org_id`, `table`, `id`, `key`, `change_id`)
TTL toDateTime(received_at) + toIntervalDay(365)
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'deskhouse 2: history of applied changes, kept for 365 days';

CREATE TABLE IF NOT EXISTS `desk`.`sync_state_all`
(
    `name` String COMMENT 'What the position is of',
    `seq` UInt64 COMMENT 'Last position whose changes are in the tables',
    `saved_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When it was saved (UTC)',
    `_version` UInt64 DEFAULT toUInt64(toUnixTimestamp64Micro(now64(6))) COMMENT 'Version of the row; the largest is the current one'
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`name`)
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'deskhouse 2: positions of pipeline "support" of organization 7000; this comment says whose database this is';

CREATE TABLE IF NOT EXISTS `desk`.`run_1`
(
    `table` LowCardinality(String) COMMENT 'Table of this database',
    `id` UInt64 COMMENT 'Id of the record; 0 in tables keyed by name',
    `module` String COMMENT 'Module, in tables keyed by name',
    `api_name` String COMMENT 'API name, in tables keyed by name',
    `_version` UInt64 DEFAULT toUInt64(toUnixTimestamp64Micro(now64(6))) COMMENT 'Version of the row; the largest is the current one'
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`table`, `id`, `module`, `api_name`)
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'deskhouse 2: keys seen by a comparison that is under way; dropped when it ends';

CREATE OR REPLACE VIEW `desk`.`sync_status`
(
    `table` LowCardinality(String) COMMENT 'Table of this database',
    `phase` LowCardinality(String) COMMENT 'What is being done: snapshot, following, resync, …',
    `complete_until` Nullable(DateTime64(3, 'UTC')) COMMENT 'Every change at Zoho up to here is in the table (UTC); NULL while the first load runs',
    `last_event_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Time of the last webhook event applied (UTC)',
    `last_poll_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Time of the last complete poll (UTC)',
    `last_resync_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the last complete comparison with Zoho (UTC)',
    `drift` UInt64 COMMENT 'Rows the last comparison found different',
    `unplaced` UInt64 COMMENT 'Values that went to _extra since the service started',
    `error` String COMMENT 'What keeps rows from being written, since when and how often it was tried; empty while nothing does',
    `saved_at` DateTime64(3, 'UTC') COMMENT 'When this was written (UTC)'
)
AS SELECT
    `table`,
    `phase`,
    `complete_until`,
    `last_event_at`,
    `last_poll_at`,
    `last_resync_at`,
    `drift`,
    `unplaced`,
    `error`,
    `saved_at`
FROM `desk`.`sync_status_all` FINAL
COMMENT 'deskhouse 2: freshness of each table';

CREATE OR REPLACE VIEW `desk`.`sync_runs`
(
    `run` String COMMENT 'Comparison',
    `table` LowCardinality(String) COMMENT 'Table of this database',
    `trigger` LowCardinality(String) COMMENT 'What started it: command, cron, restore, demo, poll',
    `started_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Start (UTC)',
    `finished_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'End (UTC); NULL while it runs',
    `read` UInt64 COMMENT 'Records that Zoho showed',
    `unchanged` UInt64 COMMENT 'Rows that were right',
    `repaired` UInt64 COMMENT 'Rows whose content was corrected or added',
    `deleted` UInt64 COMMENT 'Rows found deleted at Zoho',
    `resurrected` UInt64 COMMENT 'Deleted rows found alive at Zoho',
    `missed_by_search` UInt64 COMMENT 'Rows that exist but that reading everything did not return',
    `not_visible` UInt64 COMMENT 'Rows kept because the agent may not see them any more',
    `incomplete` UInt8 COMMENT '1 when not everything could be read, so nothing was deleted',
    `error` String COMMENT 'Why it ended early; empty when it did not',
    `backfilled` UInt64 COMMENT 'Rows that were right and written once more for a column they lacked',
    `saved_at` DateTime64(3, 'UTC') COMMENT 'When this was written (UTC)'
)
AS SELECT
    `run`,
    `table`,
    `trigger`,
    `started_at`,
    `finished_at`,
    `read`,
    `unchanged`,
    `repaired`,
    `deleted`,
    `resurrected`,
    `missed_by_search`,
    `not_visible`,
    `incomplete`,
    `error`,
    `backfilled`,
    `saved_at`
FROM `desk`.`sync_runs_all` FINAL
COMMENT 'deskhouse 2: drift reports, one row for each comparison and table';

CREATE OR REPLACE VIEW `desk`.`changes`
(
    `change_id` UInt64 COMMENT 'Hash of the source event; a replay has the same',
    `table` LowCardinality(String) COMMENT 'Table of this database',
    `id` UInt64 COMMENT 'Id of the record; 0 in tables keyed by name',
    `key` String COMMENT 'Key of the record as text',
    `op` LowCardinality(String) COMMENT 'What became of the row: insert, update, delete, restore',
    `at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When it happened as far as is known, on Zoho\'s clock (UTC)',
    `received_at` DateTime64(3, 'UTC') COMMENT 'When it arrived (UTC)',
    `origin` LowCardinality(String) COMMENT 'How it was learned: webhook, poll, resync, restore (a resync after a loss), re-read, hydration (read by id for the detail table), bin',
    `event_type` LowCardinality(String) COMMENT 'Zoho\'s event type, for webhooks',
    `row_version` UInt64 COMMENT '_version of the row it made',
    `modified_by` Nullable(UInt64) COMMENT 'Agent whom the record names as the last to modify it: who made the change, where Zoho says',
    `changed` Array(LowCardinality(String)) COMMENT 'Columns that got another value; of every table those that analysts follow (labels, ids, times, flags), where history is full all content columns',
    `old` Array(Nullable(String)) COMMENT 'Their values before, as text, one for each of changed; all NULL for an insert',
    `new` Array(Nullable(String)) COMMENT 'Their values after, as text, one for each of changed',
    `previous` Nullable(String) COMMENT 'State before the change as JSON, where Zoho sends it and history is full'
)
AS SELECT
    `change_id`,
    `table`,
    `id`,
    `key`,
    `op`,
    `at`,
    `received_at`,
    `origin`,
    `event_type`,
    `row_version`,
    `modified_by`,
    `changed`,
    `old`,
    `new`,
    `previous`
FROM `desk`.`changes_all` FINAL
COMMENT 'deskhouse 2: history of applied changes, kept for 365 days';

CREATE OR REPLACE VIEW `desk`.`sync_state`
(
    `name` String COMMENT 'What the position is of',
    `seq` UInt64 COMMENT 'Last position whose changes are in the tables',
    `saved_at` DateTime64(3, 'UTC') COMMENT 'When it was saved (UTC)'
)
AS SELECT
    `name`,
    `seq`,
    `saved_at`
FROM `desk`.`sync_state_all` FINAL
COMMENT 'deskhouse 2: positions';
