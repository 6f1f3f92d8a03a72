package main

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"deskhouse/config"
	"deskhouse/source/datacenter"
	"deskhouse/source/zohodesk"
)

//go:embed init.yaml.tmpl
var initYAML string

//go:embed init.steps.tmpl
var initSteps string

// references are what the configuration says instead of secrets.
type references struct{ key, secret, password string }

func (f initFiles) references() references {
	ref := func(path string) string { return fmt.Sprintf("{file: %s}", strconv.Quote(filepath.Base(path))) }
	return references{ref(f.key), ref(f.secret), ref(f.password)}
}

// newKey is a fresh state key in base64.
func newKey() string {
	key := make([]byte, config.KeyBytes)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}

// tableRow is a table of the configuration, with its default poll.
type tableRow struct {
	Name, Poll string
	On         bool
}

func (s *setup) rows() []tableRow {
	polls := map[string]string{"tickets": "5m", "departments": "6h", "products": "2h", "organization_fields": "12h", "contracts": "2h"}
	if s.publicURL != "" {
		polls["tickets"] = "20m"
	}
	rows := make([]tableRow, len(config.TableNames))
	for i, name := range config.TableNames {
		rows[i] = tableRow{name, polls[name], slices.Contains(s.tables, name)}
	}
	return rows
}

// render writes the configuration, with these in place of secrets.
func (s *setup) render(ref references) (string, error) {
	secret, password := ref.secret, ref.password
	switch {
	case s.secretFile != "":
		secret = fileReference(s.secretFile)
	case s.secret == "":
		secret = "{env: " + secretEnv + "}"
	}
	switch {
	case s.file != "":
		password = fileReference(s.file)
	case s.password == "":
		password = ""
	}
	t, err := template.New("yaml").Funcs(template.FuncMap{"q": strconv.Quote, "pad": func(a, b string) string { return fmt.Sprintf("%-28s", a+b) }}).Parse(initYAML)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Center": s.center, "Names": strings.Join(datacenter.Names(), " "), "OrgID": s.orgID, "ClientID": s.clientID,
		"Secret": secret, "Password": password, "Key": ref.key, "Embedded": s.warehouse == config.Embedded, "Warehouse": s.warehouse, "Database": s.database,
		"User": s.user, "Rows": s.rows(), "PublicURL": s.publicURL, "Listen": s.listen})
	return b.String(), err
}

// fileReference names a file of the user's by its full path: relative ones are
// meant from the working folder, but would be read from the configuration's.
func fileReference(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		full = path
	}
	return fmt.Sprintf("{file: %s}", strconv.Quote(full))
}

// valid makes sure that what will be written loads, before anything is.
func (s *setup) valid(files initFiles) error {
	text, err := s.render(references{strconv.Quote(newKey()), `"x"`, `"x"`})
	if err != nil {
		return err
	}
	_, err = config.Parse([]byte(text), filepath.Dir(files.config), func(string) string { return "set later" })
	for _, e := range config.Errors(err) {
		e.Line = 0 // of a file that does not exist
	}
	return err
}

// initReply is what `init --json` prints.
type initReply struct {
	Config   string   `json:"config"`
	Files    []string `json:"files"`
	SecretIn string   `json:"client_secret_env,omitempty"` // environment variable to set
	Console  string   `json:"console"`
	Scopes   string   `json:"scopes"`
	Redirect string   `json:"redirect_uri"`
	Webhooks bool     `json:"webhooks"`
	Next     []string `json:"next"`
}

// tell says what was written and what a person does next.
func (s *setup) tell(files initFiles, asJSON bool, out io.Writer) error {
	command, flag := "deskhouse", ""
	if files.config != "deskhouse.yaml" {
		flag = " -c " + files.config
	}
	r := initReply{Config: files.config, Files: s.made, Console: s.center.Console, Scopes: strings.Join(zohodesk.Scopes(), ","),
		Redirect: fmt.Sprintf("http://127.0.0.1:%d%s", loginPort, loginPath), Webhooks: s.publicURL != "",
		Next: []string{command + " auth exchange" + flag, command + " check" + flag, command + " run" + flag}}
	if s.secret == "" && s.secretFile == "" {
		r.SecretIn = secretEnv
	}
	if r.Webhooks {
		r.Next = append(r.Next, command+" webhook register"+flag)
	}
	if asJSON {
		return printJSON(out, r)
	}
	t, err := template.New("steps").Funcs(template.FuncMap{"join": strings.Join}).Parse(initSteps)
	if err != nil {
		return err
	}
	return t.Execute(out, map[string]any{"Files": r.Files, "KeyFile": files.key, "EnvSecret": r.SecretIn, "Center": s.center, "Scopes": r.Scopes, "OrgID": s.orgID,
		"Command": command, "Flag": flag, "Redirect": r.Redirect, "PublicURL": s.publicURL, "Config": files.config, "Embedded": s.warehouse == config.Embedded})
}
