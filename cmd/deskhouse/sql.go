package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"deskhouse/config"
	"deskhouse/sink/clickhouse"
)

func sqlCommand(o *options) *cobra.Command {
	var pipeline string
	c := &cobra.Command{
		Use:   "sql [QUERY]",
		Short: "Run a query in a pipeline's warehouse (from standard input without an argument)",
		Long: "Run a query in a pipeline's warehouse (from standard input without an argument).\n\n" +
			"With --json each row is an object in the shapes of ClickHouse's JSON formats: numbers are numbers with all their digits, Bool, arrays and maps are\n" +
			"JSON's own, times are text in UTC. Ids are larger than what JavaScript and some versions of jq read exactly: ask those for toString(id).",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := queryOf(args, os.Stdin)
			if err != nil {
				return err
			}
			cfg, err := o.load()
			if err != nil {
				return err
			}
			return runSQL(cmd.Context(), o, cfg, pipeline, query)
		},
	}
	c.Flags().StringVarP(&pipeline, "pipeline", "p", "", "pipeline; may be left out when there is one")
	return c
}

func queryOf(args []string, stdin io.Reader) (string, error) {
	text := strings.Join(args, "")
	if len(args) == 0 {
		all, err := io.ReadAll(stdin)
		if err != nil {
			return "", fmt.Errorf("read the query: %w", err)
		}
		text = string(all)
	}
	text = strings.TrimRight(strings.TrimSpace(text), ";")
	if text == "" {
		return "", &exitError{exitUsage, errors.New("there is no query")}
	}
	return text, nil
}

// runSQL connects to where the pipeline's tables are: an embedded engine is
// asked for at the running service, or started for the moment.
func runSQL(ctx context.Context, o *options, cfg *config.Config, name, query string) error {
	p, name, err := pipelineOf(cfg, name)
	if err != nil {
		return err
	}
	en := newEngines(zerolog.Nop())
	url, err := warehouseURL(ctx, cfg, p.Warehouse, name, en)
	if err != nil {
		return errors.Join(err, en.close())
	}
	wh, err := clickhouse.Open(ctx, warehouseConfig(url, name, p, cfg.Connections[p.Connection].OrgID, zerolog.Nop()))
	if err != nil {
		return errors.Join(err, en.close())
	}
	err = printQuery(ctx, os.Stdout, wh, query, o.json)
	return errors.Join(err, wh.Close(), en.close())
}

func pipelineOf(cfg *config.Config, name string) (config.Pipeline, string, error) {
	names := sortedKeys(cfg.Pipelines)
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	p, ok := cfg.Pipelines[name]
	if !ok {
		return p, name, &exitError{exitUsage, fmt.Errorf("which pipeline? --pipeline one of %s", strings.Join(names, ", "))}
	}
	return p, name, nil
}

func warehouseURL(ctx context.Context, cfg *config.Config, w config.Warehouse, name string, en *engines) (string, error) {
	if !w.IsEmbedded() {
		return w.URL, nil
	}
	ctl, err := dial(cfg)
	if errors.Is(err, errNotRunning) {
		e, err := en.start(ctx, w.Dir)
		if err != nil {
			return "", err
		}
		return "clickhouse://" + e.Addr(), nil
	}
	if err != nil {
		return "", err
	}
	var st statusReply
	if err := errors.Join(ctl.call(ctx, "GET", "/v1/status", nil, &st), ctl.end()); err != nil {
		return "", err
	}
	for _, p := range st.Pipelines {
		if p.Name == name && p.Warehouse.URL != "" {
			return p.Warehouse.URL, nil
		}
	}
	return "", fmt.Errorf("pipeline %s has no warehouse yet, see `deskhouse status`", name)
}

// printQuery writes the rows of a query: an aligned table of text, NULL shown as
// such, or one JSON object a line (clickhouse.Result.NextJSON says how).
func printQuery(ctx context.Context, out io.Writer, wh *clickhouse.Warehouse, query string, asJSON bool) error {
	rows, err := wh.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	w := bufio.NewWriter(out)
	if asJSON {
		err = writeJSON(w, rows)
	} else {
		err = writeTable(w, rows)
	}
	return errors.Join(err, w.Flush())
}

func writeTable(w io.Writer, rows *clickhouse.Result) error {
	var lines [][]string
	for values, null, ok := rows.Next(); ok; values, null, ok = rows.Next() {
		for i := range values {
			if null[i] {
				values[i] = "NULL"
			}
		}
		lines = append(lines, values)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(rows.Columns) > 0 {
		printTable(w, rows.Columns, lines, nil)
	}
	return nil
}

func writeJSON(w *bufio.Writer, rows *clickhouse.Result) error {
	for values, ok := rows.NextJSON(); ok; values, ok = rows.NextJSON() {
		if err := writeJSONRow(w, rows.Columns, values); err != nil {
			return err
		}
	}
	return rows.Err()
}

func writeJSONRow(w *bufio.Writer, columns []string, values []any) error {
	for i, c := range columns {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		key, err := json.Marshal(c)
		if err != nil {
			return err
		}
		value, err := json.Marshal(values[i])
		if err != nil {
			return err
		}
		_ = w.WriteByte(sep) // bufio keeps the first error for Flush
		_, _ = w.Write(key)
		_ = w.WriteByte(':')
		_, _ = w.Write(value)
	}
	_, err := w.WriteString("}\n")
	return err
}
