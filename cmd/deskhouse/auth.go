package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"deskhouse/config"
)

// authCommand groups what is done about the authorisation of a connection.
func authCommand(o *options) *cobra.Command {
	var name string
	c := &cobra.Command{Use: "auth", Short: "Authorise a connection at Zoho, look at its authorisation, or take it back"}
	c.PersistentFlags().StringVar(&name, "connection", "", "connection; may be left out when there is one")
	c.AddCommand(exchangeSub(o, &name), loginSub(o, &name), authStatusSub(o, &name), revokeSub(o, &name))
	return c
}

func exchangeSub(o *options, name *string) *cobra.Command {
	var code string
	c := &cobra.Command{
		Use:   "exchange",
		Short: "Trade a grant code of Zoho's API console for tokens",
		Long: `Trades the grant code that a self client of Zoho's API console shows ("Generate
Code") for tokens, and keeps them sealed in the state. The code lives minutes and
works once. Without --code it is asked for at the terminal, or read from stdin.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, conn, err := o.connection(*name)
			if err != nil {
				return err
			}
			given, err := grantCode(cmd.Context(), code)
			if err != nil {
				return err
			}
			return sendCode(cmd.Context(), o, cfg, conn, exchangeRequest{Code: given})
		},
	}
	c.Flags().StringVar(&code, "code", "", "grant code")
	return c
}

// connection loads the configuration and finds a connection of it.
func (o *options) connection(name string) (*config.Config, string, error) {
	cfg, err := o.load()
	if err != nil {
		return nil, "", err
	}
	name, err = chooseConnection(cfg, name)
	return cfg, name, err
}

// withControl lets do speak with the running service, or with this process.
func withControl(ctx context.Context, o *options, cfg *config.Config, do func(*control) error) error {
	ctl, err := dialOrOpen(ctx, o, cfg)
	if err != nil {
		return err
	}
	return errors.Join(do(ctl), ctl.end())
}

// sendCode trades a grant code and prints how the connection stands then. A
// token of another portal is a failure.
func sendCode(ctx context.Context, o *options, cfg *config.Config, conn string, request exchangeRequest) error {
	var reply connectionReply
	err := withControl(ctx, o, cfg, func(ctl *control) error {
		return ctl.send(ctx, "POST", "/v1/auth/exchange", url.Values{"connection": {conn}}, request, &reply)
	})
	if err != nil {
		return err
	}
	if o.json {
		err = printJSON(os.Stdout, reply)
	} else {
		printConnection(os.Stdout, reply)
	}
	if err == nil && reply.WrongPortal {
		return &exitError{Code: exitFailed}
	}
	return err
}

func authStatusSub(o *options, name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how each connection is authorised",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load()
			if err != nil {
				return err
			}
			names := sortedKeys(cfg.Connections)
			if *name != "" {
				if _, err := chooseConnection(cfg, *name); err != nil {
					return err
				}
				names = []string{*name}
			}
			replies := make([]connectionReply, len(names))
			err = withControl(cmd.Context(), o, cfg, func(ctl *control) error {
				for i, n := range names {
					if err := ctl.call(cmd.Context(), "GET", "/v1/auth/status", url.Values{"connection": {n}}, &replies[i]); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(os.Stdout, replies)
			}
			for _, r := range replies {
				printConnection(os.Stdout, r)
			}
			return nil
		},
	}
}

func revokeSub(o *options, name *string) *cobra.Command {
	var yes, force bool
	c := &cobra.Command{
		Use:   "revoke",
		Short: "Delete the connection's webhooks at Zoho, pause its pipelines, and revoke its tokens",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, conn, err := o.connection(*name)
			if err != nil {
				return err
			}
			if err := mayRevoke(cmd.Context(), cfg, conn, yes); err != nil {
				return err
			}
			q := url.Values{"connection": {conn}, "force": {fmt.Sprint(force)}}
			var reply revokeReply
			err = withControl(cmd.Context(), o, cfg, func(ctl *control) error { return ctl.call(cmd.Context(), "POST", "/v1/auth/revoke", q, &reply) })
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(os.Stdout, reply)
			}
			printRevoked(reply)
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&force, "force", false, "revoke although webhooks cannot be deleted")
	return c
}

// mayRevoke has a person agree.
func mayRevoke(ctx context.Context, cfg *config.Config, conn string, yes bool) error {
	if yes {
		return nil
	}
	var pipelines []string
	for _, p := range sortedKeys(cfg.Pipelines) {
		if cfg.Pipelines[p].Connection == conn {
			pipelines = append(pipelines, p)
		}
	}
	if !interactive() {
		return &exitError{exitDecision, errors.New("revoking asks for a yes: run it on a terminal, or add --yes")}
	}
	fmt.Fprintf(os.Stderr, "The webhooks of connection %s are deleted at Zoho, and its pipelines read nothing until it is authorised again: %s.\n", conn, orNone(pipelines))
	agreed, err := confirm(ctx, "Revoke "+conn+"?")
	if err == nil && !agreed {
		return &exitError{exitDecision, errors.New("not revoked")}
	}
	return err
}

func printRevoked(reply revokeReply) {
	fmt.Println(joined("; ", "connection "+reply.Connection+" is revoked", reply.Note))
	next := exchangeCommand(reply.Connection)
	for _, h := range reply.Webhooks {
		if h.Deleted > 0 {
			next = joined(", then ", next, "deskhouse webhook register --pipeline "+h.Pipeline)
		}
		if h.Error != "" {
			fmt.Printf("pipeline %s: %s\n", h.Pipeline, h.Error)
			continue
		}
		fmt.Printf("pipeline %s: %d webhooks deleted\n", h.Pipeline, h.Deleted)
	}
	fmt.Printf("paused: %s\nto go on: %s\n", orNone(reply.Paused), next)
}

// orNone lists names for people.
func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(slices.Values(names)), ", ")
}
