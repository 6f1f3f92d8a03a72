CREATE OR REPLACE DICTIONARY `desk`.`department_names`
(
    id UInt64,
    name Nullable(String)
)
PRIMARY KEY id
SOURCE(CLICKHOUSE(QUERY 'SELECT id, `name` AS name FROM `desk`.`departments_all` FINAL' INVALIDATE_QUERY 'SELECT count(), max(_version) FROM `desk`.`departments_all`'))
LIFETIME(MIN 10 MAX 30)
LAYOUT(HASHED())
COMMENT 'deskhouse 2: names of Zoho Desk departments by id, behind the name columns of the views';

CREATE OR REPLACE DICTIONARY `o'desk\``.`product_names`
(
    id UInt64,
    name Nullable(String)
)
PRIMARY KEY id
SOURCE(CLICKHOUSE(USER 'wri\'ter' PASSWORD 'pa\\ss\'word' QUERY 'SELECT id, `product_name` AS name FROM `o\'desk\\``.`products_all` FINAL' INVALIDATE_QUERY 'SELECT count(), max(_version) FROM `o\'desk\\``.`products_all`'))
LIFETIME(MIN 10 MAX 30)
LAYOUT(HASHED())
COMMENT 'deskhouse 2: names of Zoho Desk products by id, behind the name columns of the views';

INSERT INTO `desk`.`tickets_all` (`org_id`, `id`, `ticket_number`, `subject`, `status`, `status_type`, `priority`, `channel`, `category`, `sub_category`, `classification`, `language`, `email`, `phone`, `department_id`, `contact_id`, `account_id`, `product_id`, `assignee_id`, `team_id`, `layout_id`, `sla_id`, `created_time`, `modified_time`, `closed_time`, `due_date`, `response_due_date`, `onhold_time`, `customer_response_time`, `created_by`, `modified_by`, `thread_count`, `comment_count`, `is_spam`, `is_archived`, `is_over_due`, `is_escalated`, `description`, `resolution`, `web_url`, `entity_skills`, `secondary_contacts`, `shared_department_ids`, `shared_department_names`, `shared_department_types`, `cf_region`, `_extra`, `_is_deleted`, `_deleted_at`, `_version`, `_epoch`, `_content_as_of`, `_content_rank`, `_content_hash`, `_content_modified`, `_life_as_of`, `_life_rank`, `_life_hash`, `_left_out`)
SELECT 7000, r.`id`, h.`ticket_number`, h.`subject`, h.`status`, h.`status_type`, h.`priority`, h.`channel`, h.`category`, h.`sub_category`, h.`classification`, h.`language`, h.`email`, h.`phone`, h.`department_id`, h.`contact_id`, h.`account_id`, h.`product_id`, h.`assignee_id`, h.`team_id`, h.`layout_id`, h.`sla_id`, h.`created_time`, h.`modified_time`, h.`closed_time`, h.`due_date`, h.`response_due_date`, h.`onhold_time`, h.`customer_response_time`, h.`created_by`, h.`modified_by`, h.`thread_count`, h.`comment_count`, h.`is_spam`, h.`is_archived`, h.`is_over_due`, h.`is_escalated`, h.`description`, h.`resolution`, h.`web_url`, h.`entity_skills`, h.`secondary_contacts`, h.`shared_department_ids`, h.`shared_department_names`, h.`shared_department_types`, h.`cf_region`, h.`_extra`, r.`_is_deleted`, r.`_deleted_at`, r.`_version`, r.`_epoch`, h.`_content_as_of`, h.`_content_rank`, h.`_content_hash`, h.`_content_modified`, r.`_life_as_of`, r.`_life_rank`, r.`_life_hash`, h.`_left_out`
FROM _rows AS r
LEFT JOIN (SELECT `id`, `ticket_number`, `subject`, `status`, `status_type`, `priority`, `channel`, `category`, `sub_category`, `classification`, `language`, `email`, `phone`, `department_id`, `contact_id`, `account_id`, `product_id`, `assignee_id`, `team_id`, `layout_id`, `sla_id`, `created_time`, `modified_time`, `closed_time`, `due_date`, `response_due_date`, `onhold_time`, `customer_response_time`, `created_by`, `modified_by`, `thread_count`, `comment_count`, `is_spam`, `is_archived`, `is_over_due`, `is_escalated`, `description`, `resolution`, `web_url`, `entity_skills`, `secondary_contacts`, `shared_department_ids`, `shared_department_names`, `shared_department_types`, `cf_region`, `_extra`, `_content_as_of`, `_content_rank`, `_content_hash`, `_content_modified`, `_left_out` FROM `desk`.`tickets_all` FINAL WHERE org_id = 7000 AND (`id`) IN (SELECT `id` FROM _rows)) AS h
USING (`id`);

INSERT INTO `desk`.`rebuild_organization_fields_r1` (`org_id`, `module`, `api_name`, `id`, `display_label`, `type`, `i18n_label`, `name`, `is_custom_field`, `is_mandatory`, `is_encrypted_field`, `is_track_last_activity_time`, `show_to_help_center`, `max_length`, `decimal_places`, `rounding_precision`, `default_value`, `rounding_option`, `source_type`, `sub_type`, `tool_tip_type`, `tool_tip`, `is_indexed`, `is_computed`, `is_internal_state`, `is_basic`, `is_identifier`, `is_presence`, `is_sortable`, `created_by`, `modified_by`, `created_time`, `modified_time`, `allowed_value_values`, `allowed_value_status_types`, `pick_list_value_values`, `lookup_on_delete`, `lookup_related_list_label`, `lookup_module_api_name`, `lookup_module_name_field`, `lookup_module_id`, `lookup_properties_related_module`, `lookup_properties_name_field_in_related_module`, `lookup_properties_label_in_related_module`, `lookup_properties_on_delete`, `properties_translatable`, `_extra`, `_is_deleted`, `_deleted_at`, `_version`, `_epoch`, `_content_as_of`, `_content_rank`, `_content_hash`, `_content_modified`, `_life_as_of`, `_life_rank`, `_life_hash`, `_left_out`)
SELECT 7000, r.`module`, r.`api_name`, h.`id`, h.`display_label`, h.`type`, h.`i18n_label`, h.`name`, h.`is_custom_field`, h.`is_mandatory`, h.`is_encrypted_field`, h.`is_track_last_activity_time`, h.`show_to_help_center`, h.`max_length`, h.`decimal_places`, h.`rounding_precision`, h.`default_value`, h.`rounding_option`, h.`source_type`, h.`sub_type`, h.`tool_tip_type`, h.`tool_tip`, h.`is_indexed`, h.`is_computed`, h.`is_internal_state`, h.`is_basic`, h.`is_identifier`, h.`is_presence`, h.`is_sortable`, h.`created_by`, h.`modified_by`, h.`created_time`, h.`modified_time`, h.`allowed_value_values`, h.`allowed_value_status_types`, h.`pick_list_value_values`, h.`lookup_on_delete`, h.`lookup_related_list_label`, h.`lookup_module_api_name`, h.`lookup_module_name_field`, h.`lookup_module_id`, h.`lookup_properties_related_module`, h.`lookup_properties_name_field_in_related_module`, h.`lookup_properties_label_in_related_module`, h.`lookup_properties_on_delete`, h.`properties_translatable`, h.`_extra`, r.`_is_deleted`, r.`_deleted_at`, r.`_version`, r.`_epoch`, h.`_content_as_of`, h.`_content_rank`, h.`_content_hash`, h.`_content_modified`, r.`_life_as_of`, r.`_life_rank`, r.`_life_hash`, h.`_left_out`
FROM _rows AS r
LEFT JOIN (SELECT `module`, `api_name`, `id`, `display_label`, `type`, `i18n_label`, `name`, `is_custom_field`, `is_mandatory`, `is_encrypted_field`, `is_track_last_activity_time`, `show_to_help_center`, `max_length`, `decimal_places`, `rounding_precision`, `default_value`, `rounding_option`, `source_type`, `sub_type`, `tool_tip_type`, `tool_tip`, `is_indexed`, `is_computed`, `is_internal_state`, `is_basic`, `is_identifier`, `is_presence`, `is_sortable`, `created_by`, `modified_by`, `created_time`, `modified_time`, `allowed_value_values`, `allowed_value_status_types`, `pick_list_value_values`, `lookup_on_delete`, `lookup_related_list_label`, `lookup_module_api_name`, `lookup_module_name_field`, `lookup_module_id`, `lookup_properties_related_module`, `lookup_properties_name_field_in_related_module`, `lookup_properties_label_in_related_module`, `lookup_properties_on_delete`, `properties_translatable`, `_extra`, `_content_as_of`, `_content_rank`, `_content_hash`, `_content_modified`, `_left_out` FROM `desk`.`organization_fields_all` FINAL WHERE org_id = 7000 AND (`module`, `api_name`) IN (SELECT `module`, `api_name` FROM _rows)) AS h
USING (`module`, `api_name`);

SELECT `id`, newest.1, newest.2, newest.3, newest.4, newest.5, newest.6, newest.7, newest.8, newest.9, newest.10, newest.11 FROM (SELECT `id`, argMax(tuple(_is_deleted = 1, toUnixTimestamp64Milli(_deleted_at), _version, _content_as_of, _content_rank, _content_hash, _content_modified, _life_as_of, _life_rank, _life_hash, _left_out = 1), _version) AS newest FROM `desk`.`tickets_all` WHERE org_id = 7000 AND (`id`) IN (SELECT `id` FROM _keys) GROUP BY `id`);

SELECT `module`, `api_name`, newest.1, newest.2, newest.3 FROM (SELECT `module`, `api_name`, argMax(tuple(_as_of, _rank, _hash), _version) AS newest FROM `desk`.`organization_fields_detail` WHERE org_id = 7000 AND (`module`, `api_name`) IN (SELECT `module`, `api_name` FROM _keys) GROUP BY `module`, `api_name`);

SELECT `module`, `api_name` FROM `desk`.`organization_fields_all` FINAL WHERE org_id = 7000 AND _is_deleted = 0 ORDER BY `module`, `api_name`;

SELECT `id` FROM `desk`.`tickets_all` FINAL WHERE org_id = 7000 AND _is_deleted = 0 AND _left_out = 0 AND greatest(_content_as_of, _life_as_of) < {before:Int64} AND (`id`) NOT IN (SELECT `id` FROM `desk`.`run_1` WHERE table = {table:String}) ORDER BY `id`;

SELECT `id` FROM (
SELECT `id`, _content_as_of AS content, toInt64(0) AS detail, toUInt64(0) AS version FROM `desk`.`tickets_all` FINAL WHERE org_id = 7000 AND _is_deleted = 0 AND _left_out = 0 AND _content_as_of > {since:Int64}
UNION ALL
SELECT `id`, toInt64(0), if(_left_out = 1, 0, _as_of), _version FROM `desk`.`tickets_detail` WHERE org_id = 7000 AND _as_of > {since:Int64}
) GROUP BY `id` HAVING max(content) > argMax(detail, version) ORDER BY max(content) DESC, `id` LIMIT {limit:UInt64}
SETTINGS max_bytes_before_external_group_by = 134217728;

SELECT `module`, `api_name` FROM (
SELECT `module`, `api_name`, _content_as_of AS content, toInt64(0) AS detail, toUInt64(0) AS version FROM `desk`.`organization_fields_all` FINAL WHERE org_id = 7000 AND _is_deleted = 0 AND _left_out = 0 AND _content_as_of > {since:Int64}
UNION ALL
SELECT `module`, `api_name`, toInt64(0), if(_left_out = 1, 0, _as_of), _version FROM `desk`.`organization_fields_detail` WHERE org_id = 7000 AND _as_of > {since:Int64}
) GROUP BY `module`, `api_name` HAVING max(content) > argMax(detail, version) ORDER BY max(content) DESC, `module`, `api_name` LIMIT {limit:UInt64}
SETTINGS max_bytes_before_external_group_by = 134217728;

_content_as_of,
_extra,
toUInt64(0) + bitShiftLeft(toUInt64(ifNull(`contract_name` != '', 0)), 1) + bitShiftLeft(toUInt64(ifNull(`contract_number` != '', 0)), 2) + bitShiftLeft(toUInt64(ifNull(`contract_status` != '', 0)), 3) + bitShiftLeft(toUInt64(ifNull(`description` != '', 0)), 4) + bitShiftLeft(toUInt64(isNotNull(`account_id`)), 5) + bitShiftLeft(toUInt64(isNotNull(`product_id`)), 6) + bitShiftLeft(toUInt64(isNotNull(`associated_sla_id`)), 7) + bitShiftLeft(toUInt64(isNotNull(`department_id`)), 8) + bitShiftLeft(toUInt64(isNotNull(`owner_id`)), 9) + bitShiftLeft(toUInt64(isNotNull(`layout_id`)), 10) + bitShiftLeft(toUInt64(isNotNull(`created_by`)), 11) + bitShiftLeft(toUInt64(isNotNull(`modified_by`)), 12) + bitShiftLeft(toUInt64(isNotNull(`start_date`)), 13) + bitShiftLeft(toUInt64(isNotNull(`end_date`)), 14) + bitShiftLeft(toUInt64(isNotNull(`notify_on`)), 15) + bitShiftLeft(toUInt64(isNotNull(`notify_before`)), 16) + bitShiftLeft(toUInt64(notEmpty(`notification_agent_ids`)), 17) + bitShiftLeft(toUInt64(isNotNull(`created_time`)), 18) + bitShiftLeft(toUInt64(isNotNull(`modified_time`)), 19) + bitShiftLeft(toUInt64(isNotNull(`support_plan_id`)), 20) + bitShiftLeft(toUInt64((ifNull(`cf_region` != '', 0) OR isNotNull(`cf_gr__e`) OR ifNull(`cf_region_2` != '', 0) OR notEmpty(`cf_tags`))), 21),
toUInt64(0);

CREATE TABLE `desk`.`rebuild_tickets_r1` AS `desk`.`tickets_all` COMMENT 'deskhouse 2: copy of a table that is being rebuilt; dropped when it ends';

INSERT INTO `desk`.`rebuild_organization_fields_r1` (`api_name`, `_epoch`)
SELECT `api_name`, greatest(_epoch, 9)
FROM `desk`.`organization_fields_all` FINAL
WHERE (`org_id`, `module`, `api_name`) IN (SELECT `org_id`, `module`, `api_name` FROM (SELECT `org_id`, `module`, `api_name`, max(m) AS held, max(s) AS shadowed FROM (SELECT `org_id`, `module`, `api_name`, _version AS m, toUInt64(0) AS s FROM `desk`.`organization_fields_all` UNION ALL SELECT `org_id`, `module`, `api_name`, toUInt64(0), _version FROM `desk`.`rebuild_organization_fields_r1`) GROUP BY `org_id`, `module`, `api_name`) WHERE held > shadowed)
SETTINGS max_bytes_before_external_group_by = 134217728;

ALTER TABLE `desk`.`tickets_all` DROP CONSTRAINT IF EXISTS fence, ADD CONSTRAINT fence CHECK _epoch >= 9;

ALTER TABLE `desk`.`tickets_all` ADD COLUMN IF NOT EXISTS `cf_region` Nullable(String) COMMENT 'custom field "cf_Region" of type "Text": Re\'gion \\ `x`';

ALTER TABLE `desk`.`tickets_all` COMMENT COLUMN `cf_region` 'it\'s';

ALTER TABLE `desk`.`tickets_all` MODIFY COMMENT 'deskhouse 2: x';
