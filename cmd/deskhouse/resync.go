package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"deskhouse/source"
)

func resyncCommand(o *options) *cobra.Command {
	var pipeline string
	var tables []string
	c := &cobra.Command{
		Use:   "resync",
		Short: "Compare tables with the portal and repair them; deskhouse must be running",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load()
			if err != nil {
				return err
			}
			ctl, err := dial(cfg)
			if err != nil {
				return err
			}
			q := url.Values{"table": tables}
			if pipeline != "" {
				q.Set("pipeline", pipeline)
			}
			var reports []source.RunReport
			if err := errors.Join(ctl.call(cmd.Context(), "POST", "/v1/resync", q, &reports), ctl.end()); err != nil {
				return err
			}
			if o.json {
				if err := printJSON(os.Stdout, reports); err != nil {
					return err
				}
			} else {
				printReports(reports)
			}
			return incomplete(reports)
		},
	}
	c.Flags().StringVarP(&pipeline, "pipeline", "p", "", "pipeline; may be left out when there is one")
	c.Flags().StringSliceVar(&tables, "table", nil, "tables (default: all)")
	return c
}

// incomplete fails for tables that could not be read whole: what is absent there
// was not deleted.
func incomplete(reports []source.RunReport) error {
	var names []string
	for _, r := range reports {
		if r.Incomplete {
			names = append(names, string(r.Table))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("not everything could be read of %s: repaired as far as that goes, nothing was deleted (the log says why)", strings.Join(names, ", "))
}

// printReports shows drift reports.
func printReports(reports []source.RunReport) {
	rows := make([][]string, len(reports))
	for i, r := range reports {
		rows[i] = []string{string(r.Table), fmt.Sprint(r.Read), fmt.Sprint(r.Unchanged), fmt.Sprint(r.Repaired), fmt.Sprint(r.Deleted),
			fmt.Sprint(r.Resurrected), fmt.Sprint(r.MissedBySearch), fmt.Sprint(r.NotVisible), yes(!r.Incomplete)}
	}
	printTable(os.Stdout, []string{"TABLE", "READ", "UNCHANGED", "REPAIRED", "DELETED", "RESURRECTED", "MISSED BY SEARCH", "NOT VISIBLE", "COMPLETE"}, rows,
		map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true})
}
