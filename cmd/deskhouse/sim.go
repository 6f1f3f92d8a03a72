package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"deskhouse/source/desksim"
	"deskhouse/source/webhook"
)

// simFlags configure a simulated portal.
type simFlags struct {
	listen   string
	tickets  int
	archived int
	seed     int64
	perHour  int
	deletes  int
}

func simCommand(o *options) *cobra.Command {
	f := simFlags{}
	c := &cobra.Command{
		Use:   "sim",
		Short: "Serve a simulated Zoho Desk portal on this machine",
		Long: `Serves the accounts, Desk and JWKS endpoints of an invented portal. Point a
connection's accounts_url, desk_url and jwks_url at it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSim(cmd.Context(), o, f) },
	}
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8099", "address to serve on")
	c.Flags().IntVar(&f.tickets, "tickets", 1000, "tickets at the start")
	c.Flags().IntVar(&f.archived, "archived", 0, "archived tickets on top")
	c.Flags().Int64Var(&f.seed, "seed", 1, "seed of everything invented")
	c.Flags().IntVar(&f.perHour, "changes-per-hour", 0, "random changes an hour")
	c.Flags().IntVar(&f.deletes, "delete-mode", 0, "what tells of a deletion: 0 Ticket_Delete, 1-3 Ticket_Update with IsDel true, \"true\" or 1, 4 both, 5 nothing")
	return c
}

// portal is the configuration that the flags describe.
func (f simFlags) portal() desksim.Config {
	return desksim.Config{Seed: f.seed, Weights: demoChanges, Tickets: f.tickets, ArchivedTickets: f.archived, DeleteMode: desksim.DeleteMode(f.deletes)}
}

func runSim(ctx context.Context, o *options, f simFlags) error {
	if f.deletes < int(desksim.DeleteEvent) || f.deletes > int(desksim.DeleteNone) {
		return &exitError{exitUsage, fmt.Errorf("--delete-mode %d: want 0 to %d", f.deletes, desksim.DeleteNone)}
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("--listen: %w", err)}
	}
	portal := desksim.New(f.portal())
	defer portal.Close()
	base := "http://" + listener.Addr().String()
	details := map[string]string{"org_id": fmt.Sprint(portal.OrgID()), "client_id": "1000.SIMULATEDCLIENT", "client_secret": "simulated-secret",
		"refresh_token": "1000.simulated.refresh", "accounts_url": base, "desk_url": base, "jwks_url": base + "/.well-known/jwks.json"}
	if o.json {
		if err := printJSON(os.Stdout, details); err != nil {
			return err
		}
	} else {
		fmt.Println("A simulated portal; put this under connections:")
		for _, k := range []string{"org_id", "client_id", "client_secret", "refresh_token", "accounts_url", "desk_url", "jwks_url"} {
			fmt.Printf("  %s: %q\n", k, details[k])
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { live(ctx, portal, f.perHour); return nil })
	g.Go(func() error { return serveHTTP(ctx, webhook.HTTPServer("", portal.Handler()), listener) })
	return g.Wait()
}

// live changes the portal at random, evenly, until ctx ends.
func live(ctx context.Context, portal *desksim.Portal, perHour int) {
	if perHour <= 0 {
		return
	}
	tick := time.NewTicker(time.Hour / time.Duration(perHour))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			portal.Mutate(1)
		case <-ctx.Done():
			return
		}
	}
}
