package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func webhookCommand(o *options) *cobra.Command {
	var pipeline string
	c := &cobra.Command{Use: "webhook", Short: "Show and manage the webhooks of a pipeline at Zoho"}
	c.PersistentFlags().StringVarP(&pipeline, "pipeline", "p", "", "pipeline; may be left out when there is one")
	add := func(use, short string, do func(ctx context.Context, ctl *control, q url.Values) error) {
		c.AddCommand(&cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load()
			if err != nil {
				return err
			}
			ctl, err := dialOrOpen(cmd.Context(), o, cfg)
			if err != nil {
				return err
			}
			q := url.Values{}
			if pipeline != "" {
				q.Set("pipeline", pipeline)
			}
			return errors.Join(do(cmd.Context(), ctl, q), ctl.end())
		}})
	}
	add("url", "Print the service URL that Zoho delivers to", func(ctx context.Context, ctl *control, q url.Values) error {
		var reply struct {
			URL string `json:"url"`
		}
		if err := ctl.call(ctx, "GET", "/v1/webhook-url", q, &reply); err != nil {
			return err
		}
		if o.json {
			return printJSON(os.Stdout, reply)
		}
		fmt.Println(reply.URL)
		return nil
	})
	add("register", "Register the webhook at Zoho, or repair it; deskhouse must be running", func(ctx context.Context, ctl *control, q url.Values) error {
		if ctl.local != nil {
			return errors.New("webhook register needs the intake to answer Zoho's validation: start `deskhouse run` first")
		}
		var hook hookReply
		if err := ctl.call(ctx, "POST", "/v1/webhooks", q, &hook); err != nil {
			return err
		}
		if o.json {
			return printJSON(os.Stdout, hook)
		}
		fmt.Printf("registered as %s: %s\n", hook.ID, strings.Join(hook.Events, " "))
		return nil
	})
	add("list", "List the webhooks of the portal", func(ctx context.Context, ctl *control, q url.Values) error {
		var hooks []hookReply
		if err := ctl.call(ctx, "GET", "/v1/webhooks", q, &hooks); err != nil {
			return err
		}
		if o.json {
			return printJSON(os.Stdout, hooks)
		}
		printHooks(hooks)
		return nil
	})
	add("delete", "Delete this pipeline's webhook at Zoho", func(ctx context.Context, ctl *control, q url.Values) error {
		var reply map[string]int
		if err := ctl.call(ctx, "DELETE", "/v1/webhooks", q, &reply); err != nil {
			return err
		}
		if o.json {
			return printJSON(os.Stdout, reply)
		}
		fmt.Printf("deleted: %d\n", reply["deleted"])
		return nil
	})
	return c
}

func printHooks(hooks []hookReply) {
	rows := make([][]string, len(hooks))
	for i, h := range hooks {
		rows[i] = []string{h.ID, h.Name, yes(h.Ours), yes(h.Enabled), strings.Join(h.Events, " ")}
	}
	printTable(os.Stdout, []string{"ID", "NAME", "OURS", "ENABLED", "EVENTS"}, rows, nil)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
