CREATE TABLE IF NOT EXISTS `desk`.`products_all`
(
    `org_id` UInt64 COMMENT 'Zoho Desk organization (portal) id',
    `id` UInt64 COMMENT 'Zoho Desk products.id',
    `product_name` Nullable(String) COMMENT 'Zoho Desk products.productName',
    `product_code` Nullable(String) COMMENT 'Zoho Desk products.productCode',
    `unit_price` Nullable(Decimal(38, 9)) COMMENT 'Zoho Desk products.unitPrice: money in the portal\'s currency, up to 13 digits before the point',
    `description` Nullable(String) COMMENT 'Zoho Desk products.description: up to 65,535 characters' CODEC(ZSTD(1)),
    `product_category` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk products.productCategory: label configured in the portal',
    `manufacturer` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk products.manufacturer: label configured in the portal',
    `owner_id` Nullable(UInt64) COMMENT 'Zoho Desk products.ownerId: agent',
    `layout_id` Nullable(UInt64) COMMENT 'Zoho Desk products.layoutId',
    `created_by` Nullable(UInt64) COMMENT 'Zoho Desk products.createdBy: agent',
    `modified_by` Nullable(UInt64) COMMENT 'Zoho Desk products.modifiedBy: agent',
    `department_ids` Array(UInt64) COMMENT 'Zoho Desk products.departmentIds: departments.id it belongs to',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk products.createdTime: UTC',
    `modified_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk products.modifiedTime: UTC',
    `cf_region` Nullable(String) COMMENT 'custom field "cf_Region" of type "Text": Re\'gion \\ `x`',
    `cf_gr__e` Nullable(Int64) COMMENT 'custom field "cf_größe" of type "Number": Größe 😀',
    `cf_region_2` LowCardinality(Nullable(String)) COMMENT 'custom field "cf_region" of type "Picklist": Region',
    `cf_tags` Array(String) COMMENT 'custom field "tags" of type "Multiselect": Tags',
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

CREATE TABLE IF NOT EXISTS `desk`.`products_detail`
(
    `org_id` UInt64 COMMENT 'Zoho Desk organization (portal) id',
    `id` UInt64 COMMENT 'Zoho Desk products.id',
    `is_deleted` Nullable(Bool) COMMENT 'Zoho Desk products.isDeleted: as Zoho says; _is_deleted is what counts here',
    `layout_details_id` Nullable(UInt64) COMMENT 'Zoho Desk products.layoutDetails.id',
    `layout_details_layout_name` Nullable(String) COMMENT 'Zoho Desk products.layoutDetails.layoutName',
    `owner_agent_id` Nullable(UInt64) COMMENT 'Zoho Desk products.owner.id: agent; sent by Zoho on request only',
    `owner_name` Nullable(String) COMMENT 'Zoho Desk products.owner.name: sent by Zoho on request only',
    `owner_first_name` Nullable(String) COMMENT 'Zoho Desk products.owner.firstName: sent by Zoho on request only',
    `owner_last_name` Nullable(String) COMMENT 'Zoho Desk products.owner.lastName: sent by Zoho on request only',
    `owner_photo_url` Nullable(String) COMMENT 'Zoho Desk products.owner.photoURL',
    `department_ids` Array(UInt64) COMMENT 'Zoho Desk products.departments[].id: departments.id; sent by Zoho on request only',
    `department_names` Array(String) COMMENT 'Zoho Desk products.departments[].name: sent by Zoho on request only; parallel to department_ids',
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
COMMENT 'deskhouse 2: Zoho Desk products, columns that only reading a single record carries; read it with FINAL or through products_full.';

CREATE OR REPLACE VIEW `desk`.`products`
(
    `id` UInt64 COMMENT 'Zoho Desk products.id',
    `product_name` Nullable(String) COMMENT 'Zoho Desk products.productName',
    `product_code` Nullable(String) COMMENT 'Zoho Desk products.productCode',
    `unit_price` Nullable(Decimal(38, 9)) COMMENT 'Zoho Desk products.unitPrice: money in the portal\'s currency, up to 13 digits before the point',
    `description` Nullable(String) COMMENT 'Zoho Desk products.description: up to 65,535 characters',
    `product_category` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk products.productCategory: label configured in the portal',
    `manufacturer` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk products.manufacturer: label configured in the portal',
    `owner_id` Nullable(UInt64) COMMENT 'Zoho Desk products.ownerId: agent',
    `layout_id` Nullable(UInt64) COMMENT 'Zoho Desk products.layoutId',
    `created_by` Nullable(UInt64) COMMENT 'Zoho Desk products.createdBy: agent',
    `modified_by` Nullable(UInt64) COMMENT 'Zoho Desk products.modifiedBy: agent',
    `department_ids` Array(UInt64) COMMENT 'Zoho Desk products.departmentIds: departments.id it belongs to',
    `department_names` Array(Nullable(String)) COMMENT 'Current name of department_ids, from departments',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk products.createdTime: UTC',
    `modified_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk products.modifiedTime: UTC',
    `cf_region` Nullable(String) COMMENT 'custom field "cf_Region" of type "Text": Re\'gion \\ `x`',
    `cf_gr__e` Nullable(Int64) COMMENT 'custom field "cf_größe" of type "Number": Größe 😀',
    `cf_region_2` LowCardinality(Nullable(String)) COMMENT 'custom field "cf_region" of type "Picklist": Region',
    `cf_tags` Array(String) COMMENT 'custom field "tags" of type "Multiselect": Tags',
    `_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.'
)
AS SELECT
    `id`,
    `product_name`,
    `product_code`,
    `unit_price`,
    `description`,
    `product_category`,
    `manufacturer`,
    `owner_id`,
    `layout_id`,
    `created_by`,
    `modified_by`,
    `department_ids`,
    arrayMap(d -> dictGetOrNull('desk.department_names', 'name', d), `department_ids`) AS `department_names`,
    `created_time`,
    `modified_time`,
    `cf_region`,
    `cf_gr__e`,
    `cf_region_2`,
    `cf_tags`,
    `_extra`
FROM `desk`.`products_all` FINAL
WHERE _is_deleted = 0 AND _left_out = 0
COMMENT 'deskhouse 2: Zoho Desk products, one row for each record that exists now.';

CREATE OR REPLACE VIEW `desk`.`products_full`
(
    `id` UInt64 COMMENT 'Zoho Desk products.id',
    `product_name` Nullable(String) COMMENT 'Zoho Desk products.productName',
    `product_code` Nullable(String) COMMENT 'Zoho Desk products.productCode',
    `unit_price` Nullable(Decimal(38, 9)) COMMENT 'Zoho Desk products.unitPrice: money in the portal\'s currency, up to 13 digits before the point',
    `description` Nullable(String) COMMENT 'Zoho Desk products.description: up to 65,535 characters',
    `product_category` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk products.productCategory: label configured in the portal',
    `manufacturer` LowCardinality(Nullable(String)) COMMENT 'Zoho Desk products.manufacturer: label configured in the portal',
    `owner_id` Nullable(UInt64) COMMENT 'Zoho Desk products.ownerId: agent',
    `layout_id` Nullable(UInt64) COMMENT 'Zoho Desk products.layoutId',
    `created_by` Nullable(UInt64) COMMENT 'Zoho Desk products.createdBy: agent',
    `modified_by` Nullable(UInt64) COMMENT 'Zoho Desk products.modifiedBy: agent',
    `department_ids` Array(UInt64) COMMENT 'Zoho Desk products.departmentIds: departments.id it belongs to',
    `department_names` Array(Nullable(String)) COMMENT 'Current name of department_ids, from departments',
    `created_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk products.createdTime: UTC',
    `modified_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Zoho Desk products.modifiedTime: UTC',
    `cf_region` Nullable(String) COMMENT 'custom field "cf_Region" of type "Text": Re\'gion \\ `x`',
    `cf_gr__e` Nullable(Int64) COMMENT 'custom field "cf_größe" of type "Number": Größe 😀',
    `cf_region_2` LowCardinality(Nullable(String)) COMMENT 'custom field "cf_region" of type "Picklist": Region',
    `cf_tags` Array(String) COMMENT 'custom field "tags" of type "Multiselect": Tags',
    `_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.',
    `detail_as_of` Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest instant the detail columns are known to hold (UTC)',
    `is_deleted` Nullable(Bool) COMMENT 'Zoho Desk products.isDeleted: as Zoho says; _is_deleted is what counts here',
    `layout_details_id` Nullable(UInt64) COMMENT 'Zoho Desk products.layoutDetails.id',
    `layout_details_layout_name` Nullable(String) COMMENT 'Zoho Desk products.layoutDetails.layoutName',
    `owner_agent_id` Nullable(UInt64) COMMENT 'Zoho Desk products.owner.id: agent; sent by Zoho on request only',
    `owner_name` Nullable(String) COMMENT 'Zoho Desk products.owner.name: sent by Zoho on request only',
    `owner_first_name` Nullable(String) COMMENT 'Zoho Desk products.owner.firstName: sent by Zoho on request only',
    `owner_last_name` Nullable(String) COMMENT 'Zoho Desk products.owner.lastName: sent by Zoho on request only',
    `owner_photo_url` Nullable(String) COMMENT 'Zoho Desk products.owner.photoURL',
    `detail_department_ids` Array(UInt64) COMMENT 'Zoho Desk products.departments[].id: departments.id; sent by Zoho on request only',
    `detail_department_names` Array(String) COMMENT 'Zoho Desk products.departments[].name: sent by Zoho on request only; parallel to department_ids',
    `detail_extra` String COMMENT 'Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none.'
)
AS SELECT
    m.`id` AS `id`,
    m.`product_name` AS `product_name`,
    m.`product_code` AS `product_code`,
    m.`unit_price` AS `unit_price`,
    m.`description` AS `description`,
    m.`product_category` AS `product_category`,
    m.`manufacturer` AS `manufacturer`,
    m.`owner_id` AS `owner_id`,
    m.`layout_id` AS `layout_id`,
    m.`created_by` AS `created_by`,
    m.`modified_by` AS `modified_by`,
    m.`department_ids` AS `department_ids`,
    m.`department_names` AS `department_names`,
    m.`created_time` AS `created_time`,
    m.`modified_time` AS `modified_time`,
    m.`cf_region` AS `cf_region`,
    m.`cf_gr__e` AS `cf_gr__e`,
    m.`cf_region_2` AS `cf_region_2`,
    m.`cf_tags` AS `cf_tags`,
    m.`_extra` AS `_extra`,
    d.`detail_as_of` AS `detail_as_of`,
    d.`is_deleted` AS `is_deleted`,
    d.`layout_details_id` AS `layout_details_id`,
    d.`layout_details_layout_name` AS `layout_details_layout_name`,
    d.`owner_agent_id` AS `owner_agent_id`,
    d.`owner_name` AS `owner_name`,
    d.`owner_first_name` AS `owner_first_name`,
    d.`owner_last_name` AS `owner_last_name`,
    d.`owner_photo_url` AS `owner_photo_url`,
    d.`department_ids` AS `detail_department_ids`,
    d.`department_names` AS `detail_department_names`,
    d.detail_extra AS `detail_extra`
FROM `desk`.`products` AS m
LEFT JOIN (SELECT `id`, toNullable(fromUnixTimestamp64Milli(_as_of, 'UTC')) AS detail_as_of, `is_deleted`, `layout_details_id`, `layout_details_layout_name`, `owner_agent_id`, `owner_name`, `owner_first_name`, `owner_last_name`, `owner_photo_url`, `department_ids`, `department_names`, _extra AS detail_extra FROM `desk`.`products_detail` FINAL) AS d USING (`id`)
COMMENT 'deskhouse 2: Zoho Desk products joined with the columns that only lists or single reads carry; those are as old as listed_as_of and detail_as_of say.';
