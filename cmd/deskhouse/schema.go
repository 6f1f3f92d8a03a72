package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"deskhouse/config"
	"deskhouse/sink/clickhouse"
)

// schemaReply is GET /v1/schema, and what schema --json prints.
type schemaReply struct {
	Pipeline string `json:"pipeline"`
	clickhouse.Schema
}

// schemaFlags are what schema is asked for.
type schemaFlags struct {
	pipeline                      string
	diff, apply, drop, yes, print bool
}

func schemaCommand(o *options) *cobra.Command {
	var f schemaFlags
	c := &cobra.Command{
		Use:   "schema [TABLE]",
		Short: "Show tables and columns, what they should be, and change what is not changed by itself",
		Long: `Shows the columns of a pipeline's tables: type, what a column is, and its state if
there is something to know about it:

  backfill pending   rows from before the column lack its values until a resync
  former             the custom field has another type now, and another column
  removed at Zoho    Zoho does not list the custom field any more; values stay
  no longer filled   deskhouse made it and does not want it any more; values stay
  another type       somebody changed it
  missing            the next start of deskhouse adds it
  not deskhouse's    somebody added it; deskhouse never touches it

--diff shows what differs from what this version and configuration want, and the
plan: steps that only add or describe happen by themselves at the next start,
the others wait for --apply. --apply changes types back, renames tables that
cannot be altered and lets go of hashes of another key, after a question;
deskhouse must not run meanwhile. --apply --drop also drops columns that are no
longer filled, tables that are not configured any more and leftovers: of deleted
records these may hold the only copy, and no start needs them gone. TABLE limits
all this to one table or view. --print prints every definition as SQL and needs no server; custom
fields are not in it.

Exit codes: 0 done, or nothing differs; 1 failed; 2 wrong usage or configuration;
3 --apply without --yes where nobody can be asked; 4 --diff found steps to do
(dropping what is no longer filled may wait for ever and does not count);
5 deskhouse runs on this state, so --apply is refused.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.check(o, args)
			if err != nil {
				return err
			}
			return f.run(cmd.Context(), o, cfg, strings.Join(args, ""))
		},
	}
	c.Flags().StringVarP(&f.pipeline, "pipeline", "p", "", "pipeline; may be left out when there is one")
	c.Flags().BoolVar(&f.diff, "diff", false, "what is there, what should be, and the plan")
	c.Flags().BoolVar(&f.apply, "apply", false, "carry out the steps that wait for a person")
	c.Flags().BoolVar(&f.yes, "yes", false, "with --apply: do not ask")
	c.Flags().BoolVar(&f.drop, "drop", false, "with --apply: also drop what nothing uses any more, with its values")
	c.Flags().BoolVar(&f.print, "print", false, "every definition as SQL, without a server")
	return c
}

// check refuses flags that do not go together and reads the configuration.
func (f schemaFlags) check(o *options, args []string) (*config.Config, error) {
	chosen := 0
	for _, flag := range []bool{f.diff, f.apply, f.print} {
		if flag {
			chosen++
		}
	}
	switch {
	case chosen > 1:
		return nil, &exitError{exitUsage, errors.New("one of --diff, --apply and --print")}
	case f.yes && !f.apply:
		return nil, &exitError{exitUsage, errors.New("--yes goes with --apply")}
	case f.drop && !f.apply:
		return nil, &exitError{exitUsage, errors.New("--drop goes with --apply")}
	case f.print && len(args) > 0:
		return nil, &exitError{exitUsage, errors.New("--print takes no table")}
	}
	return o.load()
}

func (f schemaFlags) run(ctx context.Context, o *options, cfg *config.Config, table string) error {
	switch {
	case f.print:
		return printDDL(o, cfg, f.pipeline)
	case f.apply:
		return f.applySteps(ctx, o, cfg, table)
	}
	reply, err := f.ask(ctx, o, cfg)
	if err != nil {
		return err
	}
	if err := reply.only(table); err != nil {
		return err
	}
	switch {
	case o.json:
		err = printJSON(os.Stdout, reply)
	case f.diff:
		reply.printDiff(os.Stdout)
	default:
		reply.printColumns(os.Stdout, table != "")
	}
	if err == nil && f.diff && slices.ContainsFunc(reply.Plan, func(s clickhouse.Step) bool { return !s.Cleanup() }) {
		return &exitError{Code: exitDrift}
	}
	return err
}

// ask asks the running service, or looks by itself.
func (f schemaFlags) ask(ctx context.Context, o *options, cfg *config.Config) (schemaReply, error) {
	var reply schemaReply
	ctl, err := dialOrOpen(ctx, o, cfg)
	if err != nil {
		return reply, err
	}
	q := url.Values{}
	if f.pipeline != "" {
		q.Set("pipeline", f.pipeline)
	}
	err = ctl.call(ctx, "GET", "/v1/schema", q, &reply)
	return reply, errors.Join(err, ctl.end())
}

// schemaNow describes the warehouse of one pipeline, which need not run.
func (c *core) schemaNow(ctx context.Context, p *pipe, _ *http.Request) (any, error) {
	wh, done, err := c.reach(ctx, p)
	if err != nil {
		return nil, err
	}
	schema, err := wh.Schema(ctx, tablesOf(p.cfg))
	return schemaReply{p.name, schema}, errors.Join(err, done())
}

// only leaves one table and the steps for it; "" leaves all.
func (r *schemaReply) only(table string) error {
	if table == "" {
		return nil
	}
	other := func(t clickhouse.SchemaTable) bool { return t.Name != table }
	if !slices.ContainsFunc(r.Tables, func(t clickhouse.SchemaTable) bool { return !other(t) }) {
		var names []string
		for _, t := range r.Tables {
			names = append(names, t.Name)
		}
		return &exitError{exitUsage, fmt.Errorf("there is no table or view %q; there are %s", table, strings.Join(names, ", "))}
	}
	r.Tables = slices.DeleteFunc(slices.Clone(r.Tables), other)
	r.Plan = slices.DeleteFunc(slices.Clone(r.Plan), func(s clickhouse.Step) bool { return s.Table != table })
	return nil
}

// printDDL prints all definitions as a script.
func printDDL(o *options, cfg *config.Config, name string) error {
	p, name, err := pipelineOf(cfg, name)
	if err != nil {
		return err
	}
	statements := warehouseConfig("", name, p, cfg.Connections[p.Connection].OrgID, zerolog.Nop()).DDL(tablesOf(p))
	if o.json {
		return printJSON(os.Stdout, statements)
	}
	_, err = fmt.Println(strings.Join(statements, ";\n\n") + ";")
	return err
}
