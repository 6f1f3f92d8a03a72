package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"deskhouse/config"
)

// initFlags are the answers that are given on the command line.
type initFlags struct {
	dataCenter, orgID, clientID, clientSecretFile        string
	tables, publicURL, listen                            string
	warehouse, database, warehouseUser, warehousePwdFile string
	out                                                  string
	yes                                                  bool
}

func initCommand(o *options) *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use:   "init",
		Short: "Write a configuration and a state key, and say what to click at Zoho",
		Long: `Asks what it has to know, or takes it from flags, and writes a commented
configuration, the state key (32 random bytes) and a typed client secret, each
in a file that only its owner may read. Nothing is overwritten, and nobody is
asked over a network. Then it prints what to click in Zoho's API console.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.out == "" {
				f.out = o.config
			}
			var ask questions
			if interactive() && !f.yes {
				ask = terminalQuestions{cmd.Context()}
			}
			return runInit(f, ask, o.json, os.Stdout)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.dataCenter, "data-center", "", "where the portal lives: us eu in au jp ca sa sg ae cn uk, or an address of it")
	fl.StringVar(&f.orgID, "org-id", "", "the portal's id, from Setup > Developer Space > API")
	fl.StringVar(&f.clientID, "client-id", "", "client id of the API console")
	fl.StringVar(&f.clientSecretFile, "client-secret-file", "", "file that holds the client secret, - for stdin (default: the environment variable "+secretEnv+")")
	fl.StringVar(&f.tables, "tables", "", "tables to synchronise, with commas between (default: all)")
	fl.StringVar(&f.publicURL, "public-url", "", "https address at which Zoho reaches deskhouse (default: none, polls only)")
	fl.StringVar(&f.listen, "listen", ":8080", "address on this machine that the public URL leads to")
	fl.StringVar(&f.warehouse, "warehouse", "", "embedded, or the URL of a ClickHouse server (default embedded)")
	fl.StringVar(&f.database, "database", "desk", "database of the warehouse")
	fl.StringVar(&f.warehouseUser, "warehouse-user", "", "user of a ClickHouse server")
	fl.StringVar(&f.warehousePwdFile, "warehouse-password-file", "", "file that holds that user's password")
	fl.StringVar(&f.out, "out", "", "configuration file to write (default: that of --config)")
	fl.BoolVarP(&f.yes, "yes", "y", false, "ask nothing: defaults for what is not given")
	return c
}

const (
	secretEnv   = "DESKHOUSE_CLIENT_SECRET"
	passwordEnv = "DESKHOUSE_WAREHOUSE_PASSWORD"
)

// runInit asks, writes and tells. ask is nil when nobody can be asked.
func runInit(f initFlags, ask questions, asJSON bool, out io.Writer) error {
	files := newInitFiles(f.out)
	if err := files.refuseExisting(); err != nil {
		return err
	}
	s, err := f.setup(ask)
	if err != nil {
		return err
	}
	if err := s.write(files); err != nil {
		return err
	}
	return s.tell(files, asJSON, out)
}

// initFiles are the paths of what init writes, beside each other.
type initFiles struct{ config, key, secret, password string }

func newInitFiles(out string) initFiles {
	base := strings.TrimSuffix(out, filepath.Ext(out))
	return initFiles{out, base + ".key", base + ".client-secret", base + ".warehouse-password"}
}

func (f initFiles) refuseExisting() error {
	for _, path := range []string{f.config, f.key, f.secret, f.password} {
		if _, err := os.Lstat(path); err == nil {
			return &exitError{exitUsage, fmt.Errorf("%s exists and is not overwritten: move it away, or choose another name with --out", path)}
		}
	}
	if info, err := os.Stat(filepath.Dir(f.config)); err != nil || !info.IsDir() {
		return &exitError{exitUsage, fmt.Errorf("--out: there is no folder %s", filepath.Dir(f.config))}
	}
	return nil
}

// write makes the files, or none of them.
func (s *setup) write(files initFiles) (err error) {
	var made []string
	defer func() {
		if err != nil {
			for _, path := range made {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}()
	if err := s.valid(files); err != nil {
		return err
	}
	text, err := s.render(files.references())
	if err != nil {
		return err
	}
	contents := []struct {
		path, text string
		mode       os.FileMode
	}{{files.key, newKey() + "\n", 0o600}, {files.secret, s.secret, 0o600}, {files.password, s.password, 0o600}, {files.config, text, 0o644}}
	for _, c := range contents {
		if c.text == "" {
			continue
		}
		if err := createFile(c.path, c.text, c.mode); err != nil {
			return err
		}
		made = append(made, c.path)
	}
	s.made = made
	return s.loads(files.config)
}

// createFile writes a file that does not exist yet, to the disk.
func createFile(path, text string, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, withoutPath(err))
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, withoutPath(err)), os.Remove(path))
	}
	return nil
}

// loads reads the file back as every other command will. Variables of the
// environment need not be set yet.
func (s *setup) loads(path string) error {
	_, err := config.Load(path, func(string) string { return "set later" })
	return err
}

// questions are put to a person; an empty answer takes the default.
type questions interface {
	line(question string) (string, error)
	hidden(question string) (string, error)
	say(text string)
}

// terminalQuestions asks on the terminal; Ctrl-C ends the command.
type terminalQuestions struct{ ctx context.Context }
