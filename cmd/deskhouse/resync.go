package main

import (
	"net/url"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"deskhouse/pipeline"
)

// target are the flags that say what a command works on.
type target struct {
	pipeline string
	tables   []string
}

func (t *target) flags(f *pflag.FlagSet) {
	f.StringVarP(&t.pipeline, "pipeline", "p", "", "pipeline; may be left out when there is one")
	f.StringSliceVar(&t.tables, "table", nil, "tables (default: all)")
}

func resyncCommand(o *options) *cobra.Command {
	var on target
	var rebuild, acceptLoss bool
	c := &cobra.Command{
		Use:   "resync",
		Short: "Compare tables with the portal and repair them",
		Long: `Reads tables completely, repairs what differs and deletes what is gone at the
source. A running deskhouse does it; without one this process does, and first
loads what was never loaded. Prints a drift report for every table.

Exit codes: 0 done; 1 a table failed or could not be read whole; 3 a guard found
so much gone that nothing was deleted: if the portal really lost that, run it
again with --accept-loss; 5 another command holds the state.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := work{pipeline: on.pipeline, tables: on.tables, mode: pipeline.Once, method: "POST", path: "/v1/resync", query: url.Values{}, settle: true}
			if rebuild {
				w.query.Set("rebuild", "true")
			}
			if acceptLoss {
				w.query.Set("accept_loss", "true")
			}
			var reply comparisonReply
			if err := w.do(cmd.Context(), o, &reply); err != nil {
				return err
			}
			return reply.show(o, false)
		},
	}
	on.flags(c.Flags())
	c.Flags().BoolVar(&rebuild, "rebuild", false, "write the tables anew beside themselves and exchange them; takes their room once more meanwhile")
	c.Flags().BoolVar(&acceptLoss, "accept-loss", false, "believe the portal even where a guard would ask")
	return c
}
