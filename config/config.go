// Package config owns deskhouse's one YAML file: its shape, defaults, references to secrets in the environment or in
// files, and every check that needs nothing but the file itself. A mistake gives one line that names the key, the line
// and the fix, and all mistakes of a file are told at once.
//
// It knows neither Zoho nor ClickHouse: a data centre is a name to it (source/zohodesk has the hosts), an address a
// string that parses. Whether anything answers at an address is for the `check` command to find out.
package config

import (
	"fmt"
	"os"
	"path/filepath"
)

// Config is a checked file with every default filled in. It holds no pointers into the file and is never changed after
// Parse, so it may be shared. Printing it in any way (fmt, JSON, YAML, zerolog) shows no secret.
type Config struct {
	// Connections are the authorised Zoho clients by name, at least one.
	Connections map[string]Connection `json:"connections" yaml:"connections"`
	// Pipelines are the syncs by name, at least one; each names a connection that exists.
	Pipelines map[string]Pipeline `json:"pipelines" yaml:"pipelines"`
	// Intake receives webhooks; nil means that everything is polled.
	Intake *Intake `json:"intake,omitempty" yaml:"intake,omitempty"`
	Admin  Admin   `json:"admin" yaml:"admin"`
	State  State   `json:"state" yaml:"state"`
}

// maxFileBytes bounds the file: real ones have a few hundred lines, and the YAML parser recurses with the input.
const maxFileBytes = 256 << 10

// Load reads the file at path and parses it. Relative paths in it (secrets in files, state.dir, warehouse.dir) are
// taken from the file's own folder, not from the working directory. getenv looks a variable up, normally os.Getenv.
// The error is one line, or several joined with errors.Join, each an *Error; Errors lists them. Nothing is written.
func Load(path string, getenv func(string) string) (*Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &Error{File: path, Problem: fileProblem(err), Fix: "name the file with --config, or make one with: deskhouse init"}
	}
	if info.Size() > maxFileBytes {
		return nil, &Error{File: path, Problem: fmt.Sprintf("is larger than %d KiB", maxFileBytes>>10), Fix: "name a deskhouse config"}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{File: path, Problem: fileProblem(err), Fix: "name a file this user may read"}
	}
	base, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, &Error{File: path, Problem: fileProblem(err)}
	}
	c, err := Parse(data, base, getenv)
	for _, e := range Errors(err) {
		e.File = path
	}
	return c, err
}

// Parse is Load for a file already read. base is the folder that relative paths in it start from. It never panics,
// whatever the input, and reads no file but those that data names as secrets.
func Parse(data []byte, base string, getenv func(string) string) (*Config, error) {
	d := &decoder{base: base, getenv: getenv}
	c := d.config(data)
	if len(d.errs) > 0 {
		return nil, d.err()
	}
	return c, nil
}

// config decodes every section, then checks the sections against each other.
func (d *decoder) config(data []byte) *Config {
	if len(data) > maxFileBytes {
		d.add(&Error{Problem: fmt.Sprintf("the config is larger than %d KiB", maxFileBytes>>10), Fix: "name a deskhouse config"})
		return nil
	}
	root, ok := d.parse(data)
	if !ok {
		return nil
	}
	top := root.fields("connections", "pipelines", "intake", "admin", "state")
	c := &Config{}
	c.Connections = connections(top["connections"])
	c.Intake = intake(top["intake"])
	c.Admin = admin(top["admin"])
	c.State = state(top["state"])
	c.Pipelines = pipelines(top["pipelines"], pollDefaults(c.Intake != nil), c.State.Dir)
	crossCheck(c, top)
	return c
}
