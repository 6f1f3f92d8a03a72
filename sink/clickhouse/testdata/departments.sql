CREATE TABLE IF NOT EXISTS `desk`.`departments_all`
(
    `org_id` UInt64 COMMENT 'Zoho Desk organization (portal) id',
    `id` UInt64 COMMENT 'Zoho Desk departments.id',
    `name` Nullable(String) COMMENT 'Zoho Desk departments.name',
    `name_in_customer_portal` Nullable(String) COMMENT 'Zoho Desk departments.nameInCustomerPortal: the name customers see',
    `sanitized_name` Nullable(String) COMMENT 'Zoho Desk departments.sanitizedName: the name in URLs',
    `description` Nullable(String) COMMENT 'Zoho Desk departments.description',
    `is_enabled` Nullable(Bool) COMMENT 'Zoho Desk departments.isEnabled: departments are disabled, never deleted',
    `is_default` Nullable(Bool) COMMENT 'Zoho Desk departments.isDefault',
    `is_visible_in_customer_portal` Nullable(Bool) COMMENT 'Zoho Desk departments.isVisibleInCustomerPortal',
    `is_assign_to_team_enabled` Nullable(Bool) COMMENT 'Zoho Desk departments.isAssignToTeamEnabled',
    `has_logo` Nullable(Bool) COMMENT 'Zoho Desk departments.hasLogo',
    `chat_status` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk departments.chatStatus: AVAILABLE, DISABLED or NOT_CREATED',
    `creator_id` Nullable(UInt64) COMMENT 'Zoho Desk departments.creatorId: agent',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk departments.createdTime: UTC; departments have no time of change',
    `_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.' CODEC(ZSTD(1)),
    `_is_deleted` UInt8 COMMENT '1 when the record is deleted at Zoho; its last known content stays',
    `_deleted_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was deleted, on Zoho\'s clock (UTC)',
    `_version` UInt64 COMMENT 'Version of the row; the largest is the current one',
    `_epoch` UInt64 COMMENT 'Which leader wrote the row',
    `_content_as_of` Int64 COMMENT 'Latest instant the content is known to hold, ms since 1970 (UTC); 0 = never seen',
    `_content_rank` UInt8 COMMENT 'Evidence of the content: 1 list, 2 bin, 3 search, 4 webhook, 5 get',
    `_content_hash` UInt64 COMMENT 'Fingerprint of the content',
    `_content_modified` Int64 COMMENT 'The content\'s modifiedTime, ms since 1970 (UTC); 0 = none',
    `_life_as_of` Int64 COMMENT 'Latest instant _is_deleted is known to hold, ms since 1970 (UTC); 0 = never observed',
    `_life_rank` UInt8 COMMENT 'Evidence of _is_deleted',
    `_life_hash` UInt64 COMMENT 'Tie-breaker of _is_deleted',
    `_left_out` UInt8 COMMENT '1 when the record is of a department that is not selected: its content is not stored',
    `_synced_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row was written here (UTC)'
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`org_id`, `id`)
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'deskhouse 2: Zoho Desk departments, every row with its older versions; read it with FINAL. Deleted rows stay with _is_deleted = 1. For current rows use departments.';

CREATE TABLE IF NOT EXISTS `desk`.`departments_detail`
(
    `org_id` UInt64 COMMENT 'Zoho Desk organization (portal) id',
    `id` UInt64 COMMENT 'Zoho Desk departments.id',
    `associated_agent_ids` Array(UInt64) COMMENT 'Zoho Desk departments.associatedAgentIds: agents of the department',
    `_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.' CODEC(ZSTD(1)),
    `_version` UInt64 COMMENT 'Version of the row, from its stamp; the largest is the current one',
    `_epoch` UInt64 COMMENT 'Which leader wrote the row',
    `_as_of` Int64 COMMENT 'Latest instant these columns are known to hold, ms since 1970 (UTC)',
    `_rank` UInt8 COMMENT 'Evidence: 1 list, 2 bin, 3 search, 4 webhook, 5 get',
    `_hash` UInt64 COMMENT 'Fingerprint of these columns',
    `_left_out` UInt8 COMMENT '1 when the record is of a department that is not selected: its content is not stored',
    `_synced_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row was written here (UTC)'
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`org_id`, `id`)
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'deskhouse 2: Zoho Desk departments, columns that only reading a single record carries; read it with FINAL or through departments_full.';

CREATE OR REPLACE VIEW `desk`.`departments`
(
    `id` UInt64 COMMENT 'Zoho Desk departments.id',
    `name` Nullable(String) COMMENT 'Zoho Desk departments.name',
    `name_in_customer_portal` Nullable(String) COMMENT 'Zoho Desk departments.nameInCustomerPortal: the name customers see',
    `sanitized_name` Nullable(String) COMMENT 'Zoho Desk departments.sanitizedName: the name in URLs',
    `description` Nullable(String) COMMENT 'Zoho Desk departments.description',
    `is_enabled` Nullable(Bool) COMMENT 'Zoho Desk departments.isEnabled: departments are disabled, never deleted',
    `is_default` Nullable(Bool) COMMENT 'Zoho Desk departments.isDefault',
    `is_visible_in_customer_portal` Nullable(Bool) COMMENT 'Zoho Desk departments.isVisibleInCustomerPortal',
    `is_assign_to_team_enabled` Nullable(Bool) COMMENT 'Zoho Desk departments.isAssignToTeamEnabled',
    `has_logo` Nullable(Bool) COMMENT 'Zoho Desk departments.hasLogo',
    `chat_status` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk departments.chatStatus: AVAILABLE, DISABLED or NOT_CREATED',
    `creator_id` Nullable(UInt64) COMMENT 'Zoho Desk departments.creatorId: agent',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk departments.createdTime: UTC; departments have no time of change',
    `_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.'
)
AS SELECT
    `id`,
    `name`,
    `name_in_customer_portal`,
    `sanitized_name`,
    `description`,
    `is_enabled`,
    `is_default`,
    `is_visible_in_customer_portal`,
    `is_assign_to_team_enabled`,
    `has_logo`,
    `chat_status`,
    `creator_id`,
    `created_time`,
    `_extra`
FROM `desk`.`departments_all` FINAL
WHERE _is_deleted = 0 AND _left_out = 0
COMMENT 'deskhouse 2: Zoho Desk departments, one row for each record that exists now.';

CREATE OR REPLACE VIEW `desk`.`departments_full`
(
    `id` UInt64 COMMENT 'Zoho Desk departments.id',
    `name` Nullable(String) COMMENT 'Zoho Desk departments.name',
    `name_in_customer_portal` Nullable(String) COMMENT 'Zoho Desk departments.nameInCustomerPortal: the name customers see',
    `sanitized_name` Nullable(String) COMMENT 'Zoho Desk departments.sanitizedName: the name in URLs',
    `description` Nullable(String) COMMENT 'Zoho Desk departments.description',
    `is_enabled` Nullable(Bool) COMMENT 'Zoho Desk departments.isEnabled: departments are disabled, never deleted',
    `is_default` Nullable(Bool) COMMENT 'Zoho Desk departments.isDefault',
    `is_visible_in_customer_portal` Nullable(Bool) COMMENT 'Zoho Desk departments.isVisibleInCustomerPortal',
    `is_assign_to_team_enabled` Nullable(Bool) COMMENT 'Zoho Desk departments.isAssignToTeamEnabled',
    `has_logo` Nullable(Bool) COMMENT 'Zoho Desk departments.hasLogo',
    `chat_status` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk departments.chatStatus: AVAILABLE, DISABLED or NOT_CREATED',
    `creator_id` Nullable(UInt64) COMMENT 'Zoho Desk departments.creatorId: agent',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk departments.createdTime: UTC; departments have no time of change',
    `_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.',
    `detail_as_of` Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest instant the detail columns are known to hold (UTC)',
    `associated_agent_ids` Array(UInt64) COMMENT 'Zoho Desk departments.associatedAgentIds: agents of the department',
    `detail_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.'
)
AS SELECT
    m.`id` AS `id`,
    m.`name` AS `name`,
    m.`name_in_customer_portal` AS `name_in_customer_portal`,
    m.`sanitized_name` AS `sanitized_name`,
    m.`description` AS `description`,
    m.`is_enabled` AS `is_enabled`,
    m.`is_default` AS `is_default`,
    m.`is_visible_in_customer_portal` AS `is_visible_in_customer_portal`,
    m.`is_assign_to_team_enabled` AS `is_assign_to_team_enabled`,
    m.`has_logo` AS `has_logo`,
    m.`chat_status` AS `chat_status`,
    m.`creator_id` AS `creator_id`,
    m.`created_time` AS `created_time`,
    m.`_extra` AS `_extra`,
    d.`detail_as_of` AS `detail_as_of`,
    d.`associated_agent_ids` AS `associated_agent_ids`,
    d.detail_extra AS `detail_extra`
FROM `desk`.`departments` AS m
LEFT JOIN (SELECT `id`, toNullable(fromUnixTimestamp64Milli(_as_of, 'UTC')) AS detail_as_of, `associated_agent_ids`, _extra AS detail_extra FROM `desk`.`departments_detail` FINAL) AS d USING (`id`)
COMMENT 'deskhouse 2: Zoho Desk departments joined with the columns that only lists or single reads carry; those are as old as listed_as_of and detail_as_of say.';
