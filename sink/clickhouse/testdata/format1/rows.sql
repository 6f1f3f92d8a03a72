INSERT INTO `desk`.`sync_state_all` (name, seq, saved_at) VALUES ('events', 41, '2026-10-01 00:00:00');

INSERT INTO `desk`.`sync_runs_all` (run, table, trigger, started_at, finished_at, read, unchanged) VALUES ('r1', 'tickets', 'cron', '2026-10-01 03:00:00', '2026-10-01 03:05:00', 4, 4);

INSERT INTO `desk`.`changes_all` (org_id, change_id, table, id, key, op, at, received_at, origin, event_type, row_version, previous) VALUES
    (7000, 77, 'tickets', 103, '103', 'delete', now(), now(), 'webhook', 'Ticket_Delete', 9, '{"subject":"before"}');

INSERT INTO `desk`.`departments_all` (org_id, id, name, is_enabled, created_time, _version, _content_as_of, _content_rank) VALUES
    (7000, 11, 'Büro', true, '2020-01-02 03:04:05.678', 5, 100, 1);

INSERT INTO `desk`.`departments_detail` (org_id, id, associated_agent_ids, _version, _as_of, _rank, _hash) VALUES (7000, 11, [1, 2], 5, 100, 5, 6);

INSERT INTO `desk`.`products_all` (org_id, id, product_name, unit_price, department_ids, cf_region, _version, _content_as_of, _content_rank) VALUES
    (7000, 31, 'Lamp', 12.5, [11], 'EU', 5, 100, 3);

INSERT INTO `desk`.`products_detail` (org_id, id, owner_id, owner_name, departments, _version, _as_of, _rank, _hash) VALUES
    (7000, 31, '900', 'Ada', '[{"id":"11","name":"Büro"}]', 5, 100, 5, 6);

INSERT INTO `desk`.`contracts_all` (org_id, id, contract_name, end_date, cf_size, _version, _content_as_of, _content_rank) VALUES
    (7000, 51, 'Gold', '2031-02-03', 7, 5, 100, 5);

INSERT INTO `desk`.`contracts_listed` (org_id, id, department_name, _version, _as_of, _rank, _hash) VALUES (7000, 51, 'Büro', 5, 100, 1, 6);

INSERT INTO `desk`.`contracts_detail` (org_id, id, account_id, sla_name, _version, _as_of, _rank, _hash) VALUES (7000, 51, 61, 'fast', 5, 100, 5, 6);

INSERT INTO `desk`.`organization_fields_all` (org_id, module, api_name, id, display_label, type, allowed_values, pick_list_values, lookup, lookup_properties, properties, _version, _content_as_of, _content_rank) VALUES
    (7000, 'tickets', 'status', 71, 'Status', 'Picklist', '[{"value":"Open","statusType":"Open"}]', '[{"value":"x"}]', '{"onDelete":"CASCADE","module":{"id":"5"}}', '{"onDelete":"1"}', '{"translatable":true}', 5, 100, 1);

INSERT INTO `desk`.`organization_fields_detail` (org_id, module, api_name, associated_departments, _version, _as_of, _rank, _hash) VALUES (7000, 'tickets', 'status', '["11"]', 5, 100, 5, 6);

INSERT INTO `desk`.`tickets_all` (org_id, id, subject, status, department_id, product_id, created_time, entity_skills, shared_departments, cf_region, cf_size, cf_tags, _extra, _is_deleted, _deleted_at, _version, _epoch, _content_as_of, _content_rank, _content_hash, _content_modified, _life_as_of) VALUES
    (7000, 101, 'Käse', 'Open', 11, 31, '2024-01-02 03:04:05.678', [5], '[{"id":"11","name":"Büro","type":"READ_ONLY"}]', 'EU', 7, ['a', 'b'], '{"odd":1}', 0, NULL, 5, 3, 100, 5, 1234, 90, 0),
    (7000, 102, '', NULL, NULL, NULL, NULL, [], NULL, NULL, NULL, [], '', 0, NULL, 5, 3, 100, 5, 1235, 90, 0),
    (7000, 103, 'gone', 'Closed', 11, NULL, NULL, [], '[{"id":"12","type":"READ_WRITE"}]', 'US', NULL, [], '', 1, '2026-10-01 00:00:00', 9, 3, 100, 5, 1236, 90, 120);

INSERT INTO `desk`.`tickets_all` (org_id, id, subject, shared_departments, _version, _epoch, _content_as_of, _content_rank) VALUES (7000, 102, 'newer', '[]', 6, 3, 101, 5);

INSERT INTO `desk`.`tickets_listed` (org_id, id, contact_last_name, _version, _as_of, _rank, _hash) VALUES (7000, 101, 'Lovelace', 5, 100, 3, 6);

INSERT INTO `desk`.`tickets_detail` (org_id, id, sentiment, skills_info, first_thread, _version, _as_of, _rank, _hash) VALUES
    (7000, 101, 'POSITIVE', '[{"skillId":"1","skillName":"tea"}]', '{"id":"9"}', 5, 100, 5, 6);

ALTER TABLE `desk`.`tickets_all` ADD COLUMN `my_note` String DEFAULT 'mine', ADD CONSTRAINT fence CHECK _epoch >= 3;
