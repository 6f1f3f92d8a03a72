package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

func runCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Load what is missing, then follow changes until stopped",
		Long: `Runs every pipeline of the configuration: receives webhooks, loads the tables
once, then follows. SIGTERM and Ctrl-C stop it; a restart goes on where it stood.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
}

func run(ctx context.Context, o *options) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	show := newDisplay(ctx, os.Stderr)
	log, err := o.logger(show.output(os.Stderr))
	if err != nil {
		return err
	}
	c, err := openCore(ctx, cfg, log)
	if err != nil {
		return err
	}
	log.Info().Str("version", version()).Int("pipelines", len(c.pipes)).Str("state", cfg.State.Dir).Msg("starting")
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.serve(gctx) })
	g.Go(func() error { return show.run(gctx, c.progress, log) })
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	err = errors.Join(err, c.Close())
	log.Info().Msg("stopped")
	return err
}
