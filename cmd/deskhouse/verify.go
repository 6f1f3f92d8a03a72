package main

import (
	"github.com/spf13/cobra"

	"deskhouse/pipeline"
)

func verifyCommand(o *options) *cobra.Command {
	var on target
	c := &cobra.Command{
		Use:   "verify",
		Short: "Compare tables with the portal and write nothing",
		Long: `The comparison that resync makes, without its repairs: a difference counts when
reading the record by id confirms it. A running deskhouse does it; without one
this process does, and first applies the events that are logged.

Exit codes: 0 equal; 4 drift; 1 a table failed, was never loaded, or could not be
read whole.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := work{pipeline: on.pipeline, tables: on.tables, mode: pipeline.Passive, method: "POST", path: "/v1/verify"}
			var reply comparisonReply
			if err := w.do(cmd.Context(), o, &reply); err != nil {
				return err
			}
			return reply.show(o, true)
		},
	}
	on.flags(c.Flags())
	return c
}
