package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"deskhouse/config"
)

// options are the flags every command takes.
type options struct {
	config    string
	json      bool
	logLevel  string
	logFormat string
}

func newRoot() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:           "deskhouse",
		Short:         "Keeps a ClickHouse database equal to a Zoho Desk portal",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
	}
	f := root.PersistentFlags()
	f.StringVarP(&o.config, "config", "c", "deskhouse.yaml", "configuration file")
	f.BoolVar(&o.json, "json", false, "print for programs")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.logFormat, "log-format", "", "json or console (default: console on a terminal)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exitError{exitUsage, err} })
	root.AddCommand(runCommand(o), demoCommand(o), simCommand(o), checkCommand(o), schemaCommand(o), sqlCommand(o), statusCommand(o), resyncCommand(o), verifyCommand(o),
		planCommand(o), replayCommand(o), webhookCommand(o), authCommand(o), connectionsCommand(o), initCommand(o))
	for _, c := range root.Commands() {
		usageErrors(c)
	}
	for _, c := range append(root.Commands(), root) {
		if c.HasSubCommands() && c.RunE == nil {
			onlyGroups(c)
		}
	}
	return root
}

// onlyGroups makes a command that does nothing by itself show its help, and
// refuse a word that is none of its commands.
func onlyGroups(c *cobra.Command) {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		return &exitError{exitUsage, fmt.Errorf("unknown command %q for %q; one of %s", args[0], c.CommandPath(), strings.Join(names, ", "))}
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// usageErrors makes wrong arguments exit with the usage code.
func usageErrors(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return &exitError{exitUsage, err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		usageErrors(sub)
	}
}

// load reads the configuration file. Secrets that it takes from the
// environment are read once, here.
func (o *options) load() (*config.Config, error) {
	cfg, err := config.Load(o.config, os.Getenv)
	if err != nil {
		return nil, err
	}
	if err := checkSelections(o.config, cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}

// logTimes sets what zerolog keeps for the whole process.
var logTimes = sync.OnceFunc(func() {
	zerolog.TimestampFunc = func() time.Time { return time.Now().UTC() }
	zerolog.TimeFieldFormat = time.RFC3339Nano
})

// logger writes to stderr, or to out in its place: JSON for programs, one
// readable line a message on a terminal.
func (o *options) logger(out io.Writer) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(o.logLevel)
	if err != nil {
		return zerolog.Nop(), &exitError{exitUsage, fmt.Errorf("--log-level %q: want debug, info, warn or error", o.logLevel)}
	}
	terminal := term.IsTerminal(int(os.Stderr.Fd()))
	switch {
	case o.logFormat == "console", o.logFormat == "" && terminal:
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.TimeOnly, NoColor: !terminal || os.Getenv("NO_COLOR") != ""}
	case o.logFormat != "" && o.logFormat != "json":
		return zerolog.Nop(), &exitError{exitUsage, fmt.Errorf("--log-format %q: want json or console", o.logFormat)}
	}
	logTimes()
	return zerolog.New(out).Level(level).With().Timestamp().Logger(), nil
}
