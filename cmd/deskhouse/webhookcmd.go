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

// hookCommand is one of the commands about webhooks: what it asks for, and how
// it shows the answer.
type hookCommand struct {
	use, short, long string
	flags            func(*cobra.Command)
	do               func(ctx context.Context, ctl *control, q url.Values) error
}

func webhookCommand(o *options) *cobra.Command {
	var pipeline string
	c := &cobra.Command{Use: "webhook", Short: "Show and manage the webhooks of a pipeline at Zoho"}
	c.PersistentFlags().StringVarP(&pipeline, "pipeline", "p", "", "pipeline; may be left out when there is one")
	for _, h := range []hookCommand{hookURLCommand(o), hookRegisterCommand(o), hookListCommand(o), hookRotateCommand(o), hookDeleteCommand(o)} {
		sub := &cobra.Command{Use: h.use, Short: h.short, Long: h.long, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
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
			return errors.Join(h.do(cmd.Context(), ctl, q), ctl.end())
		}}
		if h.flags != nil {
			h.flags(sub)
		}
		c.AddCommand(sub)
	}
	return c
}

// shown prints a reply for programs or for people.
func shown(o *options, reply any, text string) error {
	if o.json {
		return printJSON(os.Stdout, reply)
	}
	_, err := fmt.Print(text)
	return err
}

func hookURLCommand(o *options) hookCommand {
	return hookCommand{use: "url", short: "Print the service URL that Zoho delivers to; it holds a secret",
		do: func(ctx context.Context, ctl *control, q url.Values) error {
			reply, err := askHookURL(ctx, ctl, q)
			if err != nil {
				return err
			}
			return shown(o, reply, reply.URL+"\n")
		}}
}

type hookURLReply struct {
	URL string `json:"url"`
}

func askHookURL(ctx context.Context, ctl *control, q url.Values) (reply hookURLReply, err error) {
	err = ctl.call(ctx, "GET", "/v1/webhook-url", q, &reply)
	return reply, err
}

func hookRegisterCommand(o *options) hookCommand {
	return hookCommand{use: "register", short: "Register the webhook at Zoho, or repair it; deskhouse must be running",
		long: `Registers the webhook at Zoho, or repairs it. From then on a running deskhouse
looks hourly whether it is there, enabled, and as it should be. Zoho asks the
service URL while it registers, so deskhouse must be running and reachable. A
webhook that this pipeline had at another host (public_url was changed, or this
is a copy of another deskhouse's state) is switched over to this one.`,
		do: func(ctx context.Context, ctl *control, q url.Values) error {
			if ctl.local != nil {
				return errors.New("webhook register needs the intake to answer Zoho's validation: start `deskhouse run` first")
			}
			var hook hookReply
			if err := ctl.call(ctx, "POST", "/v1/webhooks", q, &hook); err != nil {
				return err
			}
			return shown(o, hook, fmt.Sprintf("registered as %s: %s\n", hook.ID, strings.Join(hook.Events, " ")))
		}}
}

func hookListCommand(o *options) hookCommand {
	return hookCommand{use: "list", short: "List the webhooks of the portal",
		do: func(ctx context.Context, ctl *control, q url.Values) error {
			var hooks []hookReply
			if err := ctl.call(ctx, "GET", "/v1/webhooks", q, &hooks); err != nil {
				return err
			}
			if o.json {
				return printJSON(os.Stdout, hooks)
			}
			printHooks(hooks)
			return nil
		}}
}

func printHooks(hooks []hookReply) {
	rows := make([][]string, len(hooks))
	for i, h := range hooks {
		rows[i] = []string{h.ID, h.Name, yes(h.Ours), yes(h.Enabled), strings.Join(h.Events, " "), h.Note}
	}
	printTable(os.Stdout, []string{"ID", "NAME", "OURS", "ENABLED", "EVENTS", ""}, rows, nil)
}

func hookDeleteCommand(o *options) hookCommand {
	return hookCommand{use: "delete", short: "Delete this pipeline's webhook at Zoho",
		long: `Deletes what delivers to this pipeline, and then keeps it up no longer. If Zoho
refuses, the webhook stays in deskhouse's care until a deletion succeeds. A
webhook that delivers to a deskhouse at another host is left alone.`,
		do: func(ctx context.Context, ctl *control, q url.Values) error {
			var reply removalReply
			if err := ctl.call(ctx, "DELETE", "/v1/webhooks", q, &reply); err != nil {
				return err
			}
			text := fmt.Sprintf("deleted: %d\n", reply.Deleted)
			for _, left := range reply.Left {
				text += left + ": it is left there\n"
			}
			return shown(o, reply, text)
		}}
}

func hookRotateCommand(o *options) hookCommand {
	var finish bool
	return hookCommand{use: "rotate", short: "Change the secret in the service URL; deskhouse must be running",
		long: `Changes the secret in the service URL without missing an event. The new secret
is valid at once, Zoho is switched over to it, and the old one stays valid for a
day, for deliveries that were on their way.

Of a webhook or workflow that was made by hand nobody can tell when it was
switched over: then the new URL is printed, and the old one stays valid until
deskhouse webhook rotate --finish.`,
		flags: func(c *cobra.Command) {
			c.Flags().BoolVar(&finish, "finish", false, "end the old secrets now")
		},
		do: func(ctx context.Context, ctl *control, q url.Values) error {
			if ctl.local != nil && !finish {
				return errors.New("webhook rotate needs the intake to answer Zoho's validation: start `deskhouse run` first")
			}
			if finish {
				q.Set("finish", "true")
			}
			var reply rotationReply
			if err := ctl.call(ctx, "POST", "/v1/webhook-rotation", q, &reply); err != nil {
				return err
			}
			text, err := rotationText(ctx, ctl, q, reply)
			if err != nil {
				return err
			}
			return shown(o, reply, text)
		}}
}

// rotationText shows the new URL only where a person needs it.
func rotationText(ctx context.Context, ctl *control, q url.Values, r rotationReply) (string, error) {
	switch {
	case r.Finished:
		return fmt.Sprintf("generation %d of the secret is the only valid one now\n", r.Generation), nil
	case r.Switched:
		return fmt.Sprintf("webhook %s delivers to the new URL, with generation %d of the secret; the old one is valid until %s\n"+
			"a workflow made by hand needs the new URL before that: deskhouse webhook url\n", strings.Join(r.Webhooks, ", "), r.Generation, clock(r.OldUntil)), nil
	}
	hook, err := askHookURL(ctx, ctl, q)
	return fmt.Sprintf("no webhook of this pipeline is in deskhouse's care: give the new URL to the one you made by hand\n%s\n"+
		"then end the old one, which stays valid until you do: deskhouse webhook rotate --finish\n", hook.URL), err
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
