package main

import (
	"os"
	"path/filepath"
	"testing"

	"deskhouse/config"
)

// TestSelectionsTheCatalogDoesNotKnow: one line each, exit code 2, before
// anything runs.
func TestSelectionsTheCatalogDoesNotKnow(t *testing.T) {
	for tables, want := range map[string]string{
		`tickets: {columns: {exclude: [descripton]}}`:                 "pipelines.p.tables.tickets.columns.exclude: descripton is no column of tickets; did you mean description?",
		`tickets: {columns: {hash: [zzzzzzzzzzzz]}}`:                  "pipelines.p.tables.tickets.columns.hash: zzzzzzzzzzzz is no column of tickets; `deskhouse schema tickets` lists them",
		`tickets: {columns: {exclude: [created_time]}}`:               "pipelines.p.tables.tickets.columns.exclude: created_time tells which version of a record is the newest; remove it from the list",
		`contracts: {columns: {hash: [email]}}`:                       "pipelines.p.tables.contracts.columns.hash: email is no column of contracts; `deskhouse schema contracts` lists them",
		`tickets: {columns: {exclude: [email], hash: [email]}}`:       "pipelines.p.tables.tickets.columns.hash: email is left out by exclude already; remove it from the list",
		`tickets: {columns: {exclude: ["contact_*", cf_not_yet]}}`:    "",
		`tickets: {columns: {hash: email}, departments: {only: [1]}}`: "",
	} {
		file := filepath.Join(t.TempDir(), "deskhouse.yaml")
		text := "connections: {c: {data_center: eu, org_id: 1, client_id: a, client_secret: b}}\n" +
			"pipelines: {p: {connection: c, warehouse: {url: embedded}, hash_key: sixteen-bytes-or-more, tables: {" + tables + "}}}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := (&options{config: file}).load()
		if want == "" {
			if err != nil || cfg == nil {
				t.Errorf("%s: %v", tables, err)
			}
			continue
		}
		if err == nil || cfg != nil || err.Error() != file+": "+want || exitCode(err) != exitUsage || len(config.Errors(err)) != 1 {
			t.Errorf("%s\n got %v\nwant %s", tables, err, want)
		}
	}
}
