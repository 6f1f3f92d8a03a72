package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// connectionsCommand groups what is asked of the connections themselves.
func connectionsCommand(o *options) *cobra.Command {
	c := &cobra.Command{Use: "connections", Short: "Show the connections to Zoho, or forget one"}
	c.AddCommand(connectionsList(o), connectionsShow(o), connectionsForget(o))
	return c
}

// asked is a subcommand that makes one request and prints the reply.
func asked[T any](o *options, c *cobra.Command, ask func(ctx context.Context, ctl *control, args []string, reply *T) error, show func(io.Writer, T)) *cobra.Command {
	c.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := o.load()
		if err != nil {
			return err
		}
		var reply T
		if err := withControl(cmd.Context(), o, cfg, func(ctl *control) error { return ask(cmd.Context(), ctl, args, &reply) }); err != nil {
			return err
		}
		if o.json {
			return printJSON(os.Stdout, reply)
		}
		show(os.Stdout, reply)
		return nil
	}
	return c
}

func connectionsList(o *options) *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the connections and whether they are authorised", Args: cobra.NoArgs}
	return asked(o, c, func(ctx context.Context, ctl *control, _ []string, reply *[]connectionReply) error {
		return ctl.call(ctx, "GET", "/v1/connections", nil, reply)
	}, printConnections)
}

func connectionsShow(o *options) *cobra.Command {
	c := &cobra.Command{Use: "show NAME", Short: "Show one connection", Args: cobra.ExactArgs(1)}
	return asked(o, c, func(ctx context.Context, ctl *control, args []string, reply *connectionReply) error {
		return ctl.call(ctx, "GET", "/v1/connection", url.Values{"connection": args}, reply)
	}, printConnection)
}

func connectionsForget(o *options) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "forget NAME",
		Short: "Drop the tokens of a connection that nothing uses",
		Long: `Drops what the state holds of a connection. It is refused (exit 3) while a
pipeline of the configuration uses it or a webhook is registered. The tokens stay
valid at Zoho: auth revoke ends them.`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&force, "force", false, "forget although webhooks are registered for pipelines that are not in the configuration any more")
	return asked(o, c, func(ctx context.Context, ctl *control, args []string, reply *forgotten) error {
		return ctl.call(ctx, "POST", "/v1/connection/forget", url.Values{"connection": args, "force": {fmt.Sprint(force)}}, reply)
	}, func(w io.Writer, f forgotten) { fmt.Fprintf(w, "connection %s: %s\n", f.Name, f.Message) })
}

func printConnections(w io.Writer, all []connectionReply) {
	rows := make([][]string, len(all))
	for i, r := range all {
		rows[i] = []string{r.Name, r.State, r.OrgID, r.DataCenter, r.Source, usedBy(r), r.Reason}
	}
	printTable(w, []string{"NAME", "STATE", "ORG ID", "DATA CENTRE", "TOKEN FROM", "USED BY", ""}, rows, nil)
	for _, r := range all {
		printAdvice(w, "connection "+r.Name+": ", r)
	}
}

// printAdvice says what is wrong with a connection and what to do.
func printAdvice(w io.Writer, prefix string, r connectionReply) {
	if r.Problem != "" {
		fmt.Fprintf(w, "%sPROBLEM: %s\n", prefix, r.Problem)
	}
	if len(r.MissingScopes) > 0 {
		fmt.Fprintf(w, "%sWARNING: lacks %s: authorise it again\n", prefix, strings.Join(r.MissingScopes, " "))
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "%sWARNING: %s\n", prefix, warning)
	}
	if r.Remedy != "" {
		fmt.Fprintf(w, "%srun: %s\n", prefix, r.Remedy)
	}
}

// printConnection shows everything there is to say about one.
func printConnection(w io.Writer, r connectionReply) {
	fmt.Fprintf(w, "connection %s: %s\n", r.Name, joined(": ", r.State, r.Reason))
	for _, line := range [][2]string{
		{"portal", portalText(r)},
		{"agent", agentText(r)},
		{"data centre", r.DataCenter},
		{"refresh token", tokenText(r)},
		{"access token", goodUntil(r.AccessExpires)},
		{"revoked", clockOrNone(r.RevokedAt)},
		{"scopes", strings.Join(r.Scopes, " ")},
		{"used by", usedBy(r)},
	} {
		if line[1] != "" {
			fmt.Fprintf(w, "  %-14s %s\n", line[0], line[1])
		}
	}
	if r.Configured {
		fmt.Fprintf(w, "  %-14s %d in the last ten minutes, of 10 that Zoho allows\n", "token requests", r.TokenRequests)
	}
	printAdvice(w, "  ", r)
}

func portalText(r connectionReply) string {
	if r.Portal == nil {
		return r.OrgID
	}
	return fmt.Sprintf("%s, %s (%s), edition %s", r.OrgID, r.Portal.Company, r.Portal.Name, r.Portal.Edition)
}

func agentText(r connectionReply) string {
	if r.Agent == nil {
		return ""
	}
	return fmt.Sprintf("%s <%s>", r.Agent.Name, r.Agent.Email)
}

func tokenText(r connectionReply) string {
	if r.Source == "" {
		return ""
	}
	if r.ObtainedAt == nil {
		return "from the " + r.Source
	}
	return fmt.Sprintf("from the %s, since %s (%s)", r.Source, clock(r.ObtainedAt), age(time.Since(*r.ObtainedAt)))
}

// age is a duration in the largest unit that says something.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

func goodUntil(t *time.Time) string {
	if t == nil {
		return ""
	}
	return "until " + clock(t)
}

func clockOrNone(t *time.Time) string {
	if t == nil {
		return ""
	}
	return clock(t)
}

func usedBy(r connectionReply) string {
	var uses []string
	for _, u := range r.UsedBy {
		s := "pipeline " + u.Pipeline
		if len(u.Webhooks) > 0 {
			s += " (webhook " + strings.Join(u.Webhooks, ", ") + ")"
		}
		uses = append(uses, s)
	}
	return strings.Join(uses, ", ")
}

func joined(sep string, parts ...string) string {
	var some []string
	for _, p := range parts {
		if p != "" {
			some = append(some, p)
		}
	}
	return strings.Join(some, sep)
}
