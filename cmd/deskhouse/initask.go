package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"deskhouse/config"
	"deskhouse/source/datacenter"
)

func (t terminalQuestions) line(question string) (string, error) {
	return ask(t.ctx, func(t *term.Terminal) (string, error) {
		t.SetPrompt(question + ": ")
		return t.ReadLine()
	})
}

func (t terminalQuestions) hidden(question string) (string, error) {
	return ask(t.ctx, func(t *term.Terminal) (string, error) { return t.ReadPassword(question + " (not shown): ") })
}

func (t terminalQuestions) say(text string) { fmt.Fprintln(os.Stderr, text) }

// setup is everything that goes into the files.
type setup struct {
	center                                    datacenter.Center
	orgID, clientID                           string
	secret, secretFile                        string // typed, or where it is; neither: the environment
	tables                                    []string
	publicURL, listen                         string
	warehouse, database, user, password, file string // file holds the password
	made                                      []string
}

// setup takes the answers from the flags, then from a person.
func (f initFlags) setup(ask questions) (*setup, error) {
	s := &setup{listen: f.listen, database: f.database, user: f.warehouseUser}
	if err := f.required(ask); err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error {
			return answer1(ask, f.dataCenter, "Data centre, or the address of your Zoho Desk ("+strings.Join(datacenter.Names(), " ")+")", "", s.setCenter)
		},
		func() error {
			return answer1(ask, f.orgID, "Portal id, from Setup > Developer Space > API in Zoho Desk", "", s.setOrg)
		},
		func() error {
			if ask != nil && f.clientID == "" {
				ask.say("If there is no client yet: open " + s.center.Console + ", Add Client > Self Client > Create Now > OK, tab Client Secret.")
			}
			return answer1(ask, f.clientID, "Client id", "", s.setClient)
		},
		func() error { return s.askSecret(ask, f.clientSecretFile) },
		func() error {
			return answer1(ask, f.tables, "Tables ("+strings.Join(config.TableNames, ", ")+") [all]", "all", s.setTables)
		},
		func() error {
			return answer1(ask, f.publicURL, "Public https address at which Zoho reaches this machine [none: polls only]", "none", s.setPublic)
		},
		func() error {
			return answer1(ask, f.warehouse, "ClickHouse: embedded, or the URL of a server [embedded]", config.Embedded, s.setWarehouse)
		},
		func() error { return s.askPassword(ask, f) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// required names the flags that nobody can be asked for.
func (f initFlags) required(ask questions) error {
	var missing []string
	for _, flag := range []struct{ name, value string }{{"--data-center", f.dataCenter}, {"--org-id", f.orgID}, {"--client-id", f.clientID}} {
		if flag.value == "" {
			missing = append(missing, flag.name)
		}
	}
	if ask != nil || len(missing) == 0 {
		return nil
	}
	return &exitError{exitUsage, fmt.Errorf("nobody can be asked here: give %s", strings.Join(missing, ", "))}
}

// answer1 takes a value from its flag, or asks until take is content. A flag
// that take refuses ends the command.
func answer1(ask questions, flag, question, otherwise string, take func(string) error) error {
	if flag == "" && ask == nil {
		flag = otherwise
	}
	if flag != "" {
		if err := take(flag); err != nil {
			return &exitError{exitUsage, err}
		}
		return nil
	}
	for {
		given, err := ask.line(question)
		if err != nil {
			return err
		}
		if given = strings.TrimSpace(given); given == "" {
			given = otherwise
		}
		if err = take(given); err == nil {
			return nil
		}
		ask.say(err.Error())
	}
}

func (s *setup) setCenter(v string) error {
	var ok bool
	if s.center, ok = datacenter.Lookup(v); !ok {
		return fmt.Errorf("data centre %q: want one of %s, or the address at which you use Zoho Desk", v, strings.Join(datacenter.Names(), " "))
	}
	return nil
}

func (s *setup) setOrg(v string) error {
	if n, err := strconv.ParseUint(v, 10, 64); err != nil || n == 0 || v[0] == '+' {
		return errors.New("portal id: want digits only, such as 60000000001")
	}
	s.orgID = v
	return nil
}

func (s *setup) setClient(v string) error {
	if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("client id: want the one line that the API console shows, such as 1000.ABC…")
	}
	s.clientID = v
	return nil
}

func (s *setup) setTables(v string) error {
	s.tables = nil
	if v == "all" {
		s.tables = slices.Clone(config.TableNames)
		return nil
	}
	for _, name := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' }) {
		if !slices.Contains(config.TableNames, name) {
			return fmt.Errorf("tables: there is no %q; choose from %s", name, strings.Join(config.TableNames, ", "))
		}
		s.tables = append(s.tables, name)
	}
	if len(s.tables) == 0 {
		return errors.New("tables: want at least one")
	}
	return nil
}

func (s *setup) setPublic(v string) error {
	if v == "none" {
		s.publicURL = ""
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("public URL: want https://host, as Zoho reaches it, or none")
	}
	s.publicURL = strings.TrimRight(v, "/")
	return nil
}

func (s *setup) setWarehouse(v string) error {
	s.warehouse = v
	if v == config.Embedded {
		return nil
	}
	u, err := url.Parse(v)
	switch {
	case err != nil || !slices.Contains([]string{"clickhouse", "http", "https"}, u.Scheme) || u.Hostname() == "":
		return errors.New("ClickHouse: want embedded, clickhouse://host:9000 or https://host:8443")
	case u.User != nil:
		return errors.New("ClickHouse: leave user and password out of the URL; they are asked for, or given as --warehouse-user and --warehouse-password-file")
	}
	return nil
}

// askSecret gets the client secret: a file that is named, stdin, a person, or
// nothing, which means the environment.
func (s *setup) askSecret(ask questions, file string) (err error) {
	switch {
	case file == "-":
		s.secret, err = readSecret(os.Stdin)
		return err
	case file != "":
		s.secretFile = file
		return nil
	case ask == nil:
		return nil
	}
	s.secret, err = ask.hidden("Client secret [empty: taken from the environment variable " + secretEnv + "]")
	s.secret = strings.TrimSpace(s.secret)
	return err
}

const maxSecret = 4096

func readSecret(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	text := strings.TrimSpace(string(data))
	switch {
	case err != nil:
		return "", fmt.Errorf("read the client secret from stdin: %w", err)
	case text == "" || len(data) > maxSecret:
		return "", &exitError{exitUsage, errors.New("stdin holds no client secret: want the one line that the API console shows")}
	}
	return text, nil
}

// askPassword asks for the login of a server, where there is one.
func (s *setup) askPassword(ask questions, f initFlags) (err error) {
	s.file = f.warehousePwdFile
	if s.warehouse == config.Embedded {
		if s.user != "" || s.file != "" {
			return &exitError{exitUsage, errors.New("--warehouse-user and --warehouse-password-file are for a ClickHouse server: name it with --warehouse")}
		}
		return nil
	}
	if ask == nil {
		return nil
	}
	if s.user == "" {
		if s.user, err = ask.line("ClickHouse user [default]"); err != nil {
			return err
		}
	}
	if s.file == "" {
		s.password, err = ask.hidden("ClickHouse password [empty: none]")
	}
	return err
}
