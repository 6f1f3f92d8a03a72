CREATE TABLE IF NOT EXISTS `desk`.`organization_fields_all`
(
    `org_id` UInt64 COMMENT 'Zoho Desk organization (portal) id',
    `module` LowCardinality(String) COMMENT 'Zoho Desk module the field belongs to',
    `api_name` String COMMENT 'Zoho Desk organization_fields.apiName',
    `display_label` Nullable(String) COMMENT 'Zoho Desk organization_fields.displayLabel: the label people see',
    `type` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk organization_fields.type: Text, Number, Picklist, Multiselect, Date, DateTime, Currency, …',
    `is_custom_field` Nullable(Bool) COMMENT 'Zoho Desk organization_fields.isCustomField',
    `is_mandatory` Nullable(Bool) COMMENT 'Zoho Desk organization_fields.isMandatory',
    `is_encrypted_field` Nullable(Bool) COMMENT 'Zoho Desk organization_fields.isEncryptedField',
    `max_length` Nullable(Int64) COMMENT 'Zoho Desk organization_fields.maxLength: characters',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk organization_fields.createdTime: UTC; null for Zoho\'s own fields; portals with the newer fields resource only',
    `modified_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk organization_fields.modifiedTime: UTC; null for Zoho\'s own fields; portals with the newer fields resource only',
    `doc` JSON COMMENT 'Every field of the record as Zoho sends it, custom fields under cf; a field that is null is not in it. Read doc.subject, doc.cf.cf_region',
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
ORDER BY (`org_id`, `module`, `api_name`)
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'deskhouse 2: Zoho Desk organization_fields, every row with its older versions; read it with FINAL. Deleted rows stay with _is_deleted = 1. For current rows use organization_fields.';

CREATE OR REPLACE VIEW `desk`.`organization_fields`
(
    `module` LowCardinality(String) COMMENT 'Zoho Desk module the field belongs to',
    `api_name` String COMMENT 'Zoho Desk organization_fields.apiName',
    `display_label` Nullable(String) COMMENT 'Zoho Desk organization_fields.displayLabel: the label people see',
    `type` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk organization_fields.type: Text, Number, Picklist, Multiselect, Date, DateTime, Currency, …',
    `is_custom_field` Nullable(Bool) COMMENT 'Zoho Desk organization_fields.isCustomField',
    `is_mandatory` Nullable(Bool) COMMENT 'Zoho Desk organization_fields.isMandatory',
    `is_encrypted_field` Nullable(Bool) COMMENT 'Zoho Desk organization_fields.isEncryptedField',
    `max_length` Nullable(Int64) COMMENT 'Zoho Desk organization_fields.maxLength: characters',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk organization_fields.createdTime: UTC; null for Zoho\'s own fields; portals with the newer fields resource only',
    `modified_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk organization_fields.modifiedTime: UTC; null for Zoho\'s own fields; portals with the newer fields resource only',
    `doc` JSON COMMENT 'Every field of the record as Zoho sends it, custom fields under cf; a field that is null is not in it. Read doc.subject, doc.cf.cf_region',
    `_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.'
)
AS SELECT
    `module`,
    `api_name`,
    `display_label`,
    `type`,
    `is_custom_field`,
    `is_mandatory`,
    `is_encrypted_field`,
    `max_length`,
    `created_time`,
    `modified_time`,
    `doc`,
    `_extra`
FROM `desk`.`organization_fields_all` FINAL
WHERE _is_deleted = 0 AND _left_out = 0
COMMENT 'deskhouse 2: Zoho Desk organization_fields, one row for each record that exists now.';

CREATE TABLE IF NOT EXISTS `desk`.`departments_all`
(
    `org_id` UInt64 COMMENT 'Zoho Desk organization (portal) id',
    `id` UInt64 COMMENT 'Zoho Desk departments.id',
    `name` Nullable(String) COMMENT 'Zoho Desk departments.name',
    `is_enabled` Nullable(Bool) COMMENT 'Zoho Desk departments.isEnabled: departments are disabled, never deleted',
    `is_default` Nullable(Bool) COMMENT 'Zoho Desk departments.isDefault',
    `is_visible_in_customer_portal` Nullable(Bool) COMMENT 'Zoho Desk departments.isVisibleInCustomerPortal',
    `is_assign_to_team_enabled` Nullable(Bool) COMMENT 'Zoho Desk departments.isAssignToTeamEnabled',
    `chat_status` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk departments.chatStatus: AVAILABLE, DISABLED or NOT_CREATED',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk departments.createdTime: UTC; departments have no time of change',
    `doc` JSON COMMENT 'Every field of the record as Zoho sends it, custom fields under cf; a field that is null is not in it. Read doc.subject, doc.cf.cf_region',
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

CREATE OR REPLACE VIEW `desk`.`departments`
(
    `id` UInt64 COMMENT 'Zoho Desk departments.id',
    `name` Nullable(String) COMMENT 'Zoho Desk departments.name',
    `is_enabled` Nullable(Bool) COMMENT 'Zoho Desk departments.isEnabled: departments are disabled, never deleted',
    `is_default` Nullable(Bool) COMMENT 'Zoho Desk departments.isDefault',
    `is_visible_in_customer_portal` Nullable(Bool) COMMENT 'Zoho Desk departments.isVisibleInCustomerPortal',
    `is_assign_to_team_enabled` Nullable(Bool) COMMENT 'Zoho Desk departments.isAssignToTeamEnabled',
    `chat_status` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk departments.chatStatus: AVAILABLE, DISABLED or NOT_CREATED',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk departments.createdTime: UTC; departments have no time of change',
    `doc` JSON COMMENT 'Every field of the record as Zoho sends it, custom fields under cf; a field that is null is not in it. Read doc.subject, doc.cf.cf_region',
    `_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.'
)
AS SELECT
    `id`,
    `name`,
    `is_enabled`,
    `is_default`,
    `is_visible_in_customer_portal`,
    `is_assign_to_team_enabled`,
    `chat_status`,
    `created_time`,
    `doc`,
    `_extra`
FROM `desk`.`departments_all` FINAL
WHERE _is_deleted = 0 AND _left_out = 0
COMMENT 'deskhouse 2: Zoho Desk departments, one row for each record that exists now.';

CREATE TABLE IF NOT EXISTS `desk`.`products_all`
(
    `org_id` UInt64 COMMENT 'Zoho Desk organization (portal) id',
    `id` UInt64 COMMENT 'Zoho Desk products.id',
    `product_name` Nullable(String) COMMENT 'Zoho Desk products.productName',
    `unit_price` Nullable(Decimal(38, 9)) COMMENT 'Zoho Desk products.unitPrice: money in the portal\'s currency, up to 13 digits before the point',
    `product_category` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk products.productCategory: label configured in the portal',
    `manufacturer` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk products.manufacturer: label configured in the portal',
    `owner_id` Nullable(UInt64) COMMENT 'Zoho Desk products.ownerId: agent',
    `department_ids` Array(UInt64) COMMENT 'Zoho Desk products.departmentIds: departments.id it belongs to',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk products.createdTime: UTC',
    `modified_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk products.modifiedTime: UTC',
    `doc` JSON COMMENT 'Every field of the record as Zoho sends it, custom fields under cf; a field that is null is not in it. Read doc.subject, doc.cf.cf_region',
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
COMMENT 'deskhouse 2: Zoho Desk products, every row with its older versions; read it with FINAL. Deleted rows stay with _is_deleted = 1. For current rows use products.';

CREATE OR REPLACE VIEW `desk`.`products`
(
    `id` UInt64 COMMENT 'Zoho Desk products.id',
    `product_name` Nullable(String) COMMENT 'Zoho Desk products.productName',
    `unit_price` Nullable(Decimal(38, 9)) COMMENT 'Zoho Desk products.unitPrice: money in the portal\'s currency, up to 13 digits before the point',
    `product_category` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk products.productCategory: label configured in the portal',
    `manufacturer` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk products.manufacturer: label configured in the portal',
    `owner_id` Nullable(UInt64) COMMENT 'Zoho Desk products.ownerId: agent',
    `department_ids` Array(UInt64) COMMENT 'Zoho Desk products.departmentIds: departments.id it belongs to',
    `department_names` Array(Nullable(String)) COMMENT 'Current name of department_ids, from departments',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk products.createdTime: UTC',
    `modified_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk products.modifiedTime: UTC',
    `doc` JSON COMMENT 'Every field of the record as Zoho sends it, custom fields under cf; a field that is null is not in it. Read doc.subject, doc.cf.cf_region',
    `_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.'
)
AS SELECT
    `id`,
    `product_name`,
    `unit_price`,
    `product_category`,
    `manufacturer`,
    `owner_id`,
    `department_ids`,
    arrayMap(d -> dictGetOrNull('desk.department_names', 'name', d), `department_ids`) AS `department_names`,
    `created_time`,
    `modified_time`,
    `doc`,
    `_extra`
FROM `desk`.`products_all` FINAL
WHERE _is_deleted = 0 AND _left_out = 0
COMMENT 'deskhouse 2: Zoho Desk products, one row for each record that exists now.';

CREATE TABLE IF NOT EXISTS `desk`.`contracts_all`
(
    `org_id` UInt64 COMMENT 'Zoho Desk organization (portal) id',
    `id` UInt64 COMMENT 'Zoho Desk contracts.id',
    `contract_name` Nullable(String) COMMENT 'Zoho Desk contracts.contractName',
    `contract_status` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk contracts.contractStatus: ACTIVE, EXPIRED or FUTURE; follows the dates, so it may be as old as the row',
    `account_id` Nullable(UInt64) COMMENT 'Zoho Desk contracts.accountId: accounts are not synchronised',
    `product_id` Nullable(UInt64) COMMENT 'Zoho Desk contracts.productId: products.id',
    `associated_sla_id` Nullable(UInt64) COMMENT 'Zoho Desk contracts.associatedSLAId',
    `department_id` Nullable(UInt64) COMMENT 'Zoho Desk contracts.departmentId: departments.id',
    `owner_id` Nullable(UInt64) COMMENT 'Zoho Desk contracts.ownerId: agent',
    `start_date` Nullable(Date32) COMMENT 'Zoho Desk contracts.startDate: calendar day',
    `end_date` Nullable(Date32) COMMENT 'Zoho Desk contracts.endDate: calendar day',
    `notify_on` Nullable(Date32) COMMENT 'Zoho Desk contracts.notifyOn: calendar day',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk contracts.createdTime: UTC',
    `modified_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk contracts.modifiedTime: UTC',
    `doc` JSON COMMENT 'Every field of the record as Zoho sends it, custom fields under cf; a field that is null is not in it. Read doc.subject, doc.cf.cf_region',
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
COMMENT 'deskhouse 2: Zoho Desk contracts, every row with its older versions; read it with FINAL. Deleted rows stay with _is_deleted = 1. For current rows use contracts.';

CREATE OR REPLACE VIEW `desk`.`contracts`
(
    `id` UInt64 COMMENT 'Zoho Desk contracts.id',
    `contract_name` Nullable(String) COMMENT 'Zoho Desk contracts.contractName',
    `contract_status` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk contracts.contractStatus: ACTIVE, EXPIRED or FUTURE; follows the dates, so it may be as old as the row',
    `account_id` Nullable(UInt64) COMMENT 'Zoho Desk contracts.accountId: accounts are not synchronised',
    `product_id` Nullable(UInt64) COMMENT 'Zoho Desk contracts.productId: products.id',
    `product_name` Nullable(String) COMMENT 'Current name of product_id, from products',
    `associated_sla_id` Nullable(UInt64) COMMENT 'Zoho Desk contracts.associatedSLAId',
    `department_id` Nullable(UInt64) COMMENT 'Zoho Desk contracts.departmentId: departments.id',
    `department_name` Nullable(String) COMMENT 'Current name of department_id, from departments',
    `owner_id` Nullable(UInt64) COMMENT 'Zoho Desk contracts.ownerId: agent',
    `start_date` Nullable(Date32) COMMENT 'Zoho Desk contracts.startDate: calendar day',
    `end_date` Nullable(Date32) COMMENT 'Zoho Desk contracts.endDate: calendar day',
    `notify_on` Nullable(Date32) COMMENT 'Zoho Desk contracts.notifyOn: calendar day',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk contracts.createdTime: UTC',
    `modified_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk contracts.modifiedTime: UTC',
    `doc` JSON COMMENT 'Every field of the record as Zoho sends it, custom fields under cf; a field that is null is not in it. Read doc.subject, doc.cf.cf_region',
    `_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.'
)
AS SELECT
    `id`,
    `contract_name`,
    `contract_status`,
    `account_id`,
    `product_id`,
    dictGetOrNull('desk.product_names', 'name', ifNull(`product_id`, 0)) AS `product_name`,
    `associated_sla_id`,
    `department_id`,
    dictGetOrNull('desk.department_names', 'name', ifNull(`department_id`, 0)) AS `department_name`,
    `owner_id`,
    `start_date`,
    `end_date`,
    `notify_on`,
    `created_time`,
    `modified_time`,
    `doc`,
    `_extra`
FROM `desk`.`contracts_all` FINAL
WHERE _is_deleted = 0 AND _left_out = 0
COMMENT 'deskhouse 2: Zoho Desk contracts, one row for each record that exists now.';

CREATE TABLE IF NOT EXISTS `desk`.`tickets_all`
(
    `org_id` UInt64 COMMENT 'Zoho Desk organization (portal) id',
    `id` UInt64 COMMENT 'Zoho Desk tickets.id',
    `ticket_number` Nullable(Int64) COMMENT 'Zoho Desk tickets.ticketNumber: the number people see, counted per portal',
    `status` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.status: label configured in the portal; statusType is its class',
    `status_type` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.statusType: Open, On Hold or Closed',
    `priority` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.priority: label configured in the portal',
    `channel` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.channel: where it came in: Email, Web, Phone, Chat, Forums, …',
    `category` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.category: label configured in the portal',
    `sub_category` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.subCategory: label configured in the portal',
    `classification` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.classification: label configured in the portal',
    `department_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.departmentId: departments.id; changes when a ticket is moved',
    `contact_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.contactId: contact who asked; contacts are not synchronised',
    `account_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.accountId: account of the contact; accounts are not synchronised',
    `product_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.productId: products.id',
    `assignee_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.assigneeId: agent; null while unassigned',
    `team_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.teamId: null without a team',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk tickets.createdTime: UTC',
    `modified_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk tickets.modifiedTime: UTC',
    `closed_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk tickets.closedTime: UTC; null while open',
    `due_date` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk tickets.dueDate: UTC; when a resolution is due',
    `onhold_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk tickets.onholdTime: UTC; since when it is on hold',
    `is_spam` Nullable(Bool) COMMENT 'Zoho Desk tickets.isSpam',
    `is_archived` Nullable(Bool) COMMENT 'Zoho Desk tickets.isArchived',
    `is_over_due` Nullable(Bool) COMMENT 'Zoho Desk tickets.isOverDue',
    `is_escalated` Nullable(Bool) COMMENT 'Zoho Desk tickets.isEscalated',
    `doc` JSON COMMENT 'Every field of the record as Zoho sends it, custom fields under cf; a field that is null is not in it. Read doc.subject, doc.cf.cf_region',
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
COMMENT 'deskhouse 2: Zoho Desk tickets, every row with its older versions; read it with FINAL. Deleted rows stay with _is_deleted = 1. For current rows use tickets.';

CREATE OR REPLACE VIEW `desk`.`tickets`
(
    `id` UInt64 COMMENT 'Zoho Desk tickets.id',
    `ticket_number` Nullable(Int64) COMMENT 'Zoho Desk tickets.ticketNumber: the number people see, counted per portal',
    `status` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.status: label configured in the portal; statusType is its class',
    `status_type` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.statusType: Open, On Hold or Closed',
    `priority` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.priority: label configured in the portal',
    `channel` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.channel: where it came in: Email, Web, Phone, Chat, Forums, …',
    `category` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.category: label configured in the portal',
    `sub_category` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.subCategory: label configured in the portal',
    `classification` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk tickets.classification: label configured in the portal',
    `department_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.departmentId: departments.id; changes when a ticket is moved',
    `department_name` Nullable(String) COMMENT 'Current name of department_id, from departments',
    `contact_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.contactId: contact who asked; contacts are not synchronised',
    `account_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.accountId: account of the contact; accounts are not synchronised',
    `product_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.productId: products.id',
    `product_name` Nullable(String) COMMENT 'Current name of product_id, from products',
    `assignee_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.assigneeId: agent; null while unassigned',
    `team_id` Nullable(UInt64) COMMENT 'Zoho Desk tickets.teamId: null without a team',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk tickets.createdTime: UTC',
    `modified_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk tickets.modifiedTime: UTC',
    `closed_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk tickets.closedTime: UTC; null while open',
    `due_date` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk tickets.dueDate: UTC; when a resolution is due',
    `onhold_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk tickets.onholdTime: UTC; since when it is on hold',
    `is_spam` Nullable(Bool) COMMENT 'Zoho Desk tickets.isSpam',
    `is_archived` Nullable(Bool) COMMENT 'Zoho Desk tickets.isArchived',
    `is_over_due` Nullable(Bool) COMMENT 'Zoho Desk tickets.isOverDue',
    `is_escalated` Nullable(Bool) COMMENT 'Zoho Desk tickets.isEscalated',
    `doc` JSON COMMENT 'Every field of the record as Zoho sends it, custom fields under cf; a field that is null is not in it. Read doc.subject, doc.cf.cf_region',
    `_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.'
)
AS SELECT
    `id`,
    `ticket_number`,
    `status`,
    `status_type`,
    `priority`,
    `channel`,
    `category`,
    `sub_category`,
    `classification`,
    `department_id`,
    dictGetOrNull('desk.department_names', 'name', ifNull(`department_id`, 0)) AS `department_name`,
    `contact_id`,
    `account_id`,
    `product_id`,
    dictGetOrNull('desk.product_names', 'name', ifNull(`product_id`, 0)) AS `product_name`,
    `assignee_id`,
    `team_id`,
    `created_time`,
    `modified_time`,
    `closed_time`,
    `due_date`,
    `onhold_time`,
    `is_spam`,
    `is_archived`,
    `is_over_due`,
    `is_escalated`,
    `doc`,
    `_extra`
FROM `desk`.`tickets_all` FINAL
WHERE _is_deleted = 0 AND _left_out = 0
COMMENT 'deskhouse 2: Zoho Desk tickets, one row for each record that exists now.';

arrayConcat(arrayMap(m -> m.1, arrayFilter(m -> m.2 NOT IN ('', '""', '[]') AND m.1 != 'cf', JSONExtractKeysAndValuesRaw(toString(doc) AS _text))), if(arrayExists(m -> m.2 NOT IN ('', '""', '[]'), JSONExtractKeysAndValuesRaw(_text, 'cf')), ['cf'], []), if(JSONExtractRaw(_text, 'supportPlan', 'id') NOT IN ('', '""', '[]'), ['supportPlan.id'], []));

INSERT INTO `desk`.`departments_all` (`org_id`, `id`, `name`, `is_enabled`, `is_default`, `is_visible_in_customer_portal`, `is_assign_to_team_enabled`, `chat_status`, `created_time`, `doc`, `_extra`, `_is_deleted`, `_deleted_at`, `_version`, `_epoch`, `_content_as_of`, `_content_rank`, `_content_hash`, `_content_modified`, `_life_as_of`, `_life_rank`, `_life_hash`, `_left_out`)
SELECT 7000, r.`id`, h.`name`, h.`is_enabled`, h.`is_default`, h.`is_visible_in_customer_portal`, h.`is_assign_to_team_enabled`, h.`chat_status`, h.`created_time`, h.`doc`, h.`_extra`, r.`_is_deleted`, r.`_deleted_at`, r.`_version`, r.`_epoch`, h.`_content_as_of`, h.`_content_rank`, h.`_content_hash`, h.`_content_modified`, r.`_life_as_of`, r.`_life_rank`, r.`_life_hash`, h.`_left_out`
FROM _rows AS r
LEFT JOIN (SELECT `id`, `name`, `is_enabled`, `is_default`, `is_visible_in_customer_portal`, `is_assign_to_team_enabled`, `chat_status`, `created_time`, `doc`, `_extra`, `_content_as_of`, `_content_rank`, `_content_hash`, `_content_modified`, `_left_out` FROM `desk`.`departments_all` FINAL WHERE org_id = 7000 AND (`id`) IN (SELECT `id` FROM _rows)) AS h
USING (`id`);
