package config

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// text reads a scalar. It returns false when none is given or a mistake was recorded.
func (v value) text() (string, bool) {
	if v.absent() {
		return "", false
	}
	s, ok := scalar(v.node)
	switch {
	case !ok:
		v.fail("must be a single value", "write key: value")
	case strings.TrimSpace(s) == "":
		v.fail("is set but empty", "give it a value or remove the key")
	default:
		return s, true
	}
	return "", false
}

// choice reads one of the options, the first being the default.
func choice[T ~string](v value, options ...T) T {
	s, ok := v.text()
	if !ok {
		return options[0]
	}
	if !slices.Contains(options, T(s)) {
		names := make([]string, len(options))
		for i, o := range options {
			names[i] = string(o)
		}
		v.fail("unknown value "+quote(s), suggest(s, names))
	}
	return T(s)
}

// asBool reports whether a boolean is given, and which.
func (v value) asBool() (value, ok bool) {
	if v.absent() {
		return false, false
	}
	s, scalar := scalar(v.node)
	return s == "true", scalar && (s == "true" || s == "false")
}

func (v value) boolean(otherwise bool) bool {
	if v.absent() {
		return otherwise
	}
	b, ok := v.asBool()
	if !ok {
		v.fail("is not a yes or no", "write true or false")
	}
	return b
}

func (v value) integer(otherwise, least, most int64) int64 {
	s, ok := v.text()
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most {
		v.fail(quote(s)+" is out of range", fmt.Sprintf("a whole number from %d to %d", least, most))
	}
	return n
}

func (v value) duration(otherwise, least time.Duration) time.Duration {
	s, ok := v.text()
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		v.fail(quote(s)+" is not a duration", "a number with a unit, such as 90s, 20m or 12h")
	case d < least:
		v.fail(quote(s)+" is too short", "at least "+least.String())
	}
	return d
}

var sizeUnits = map[string]float64{
	"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
}

var sizeParts = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)$`)

// bytes reads a size such as 512MiB or a plain number of bytes.
func (v value) bytes(otherwise, least int64) int64 {
	s, ok := v.text()
	if !ok {
		return otherwise
	}
	n, ok := parseSize(s)
	switch {
	case !ok:
		v.fail(quote(s)+" is not a size", "a number with a unit, such as 512MiB or 10GB")
	case n < least:
		v.fail(quote(s)+" is too small", fmt.Sprintf("at least %dMiB", least>>20))
	}
	return n
}

func parseSize(s string) (int64, bool) {
	parts := sizeParts.FindStringSubmatch(s)
	if parts == nil {
		return 0, false
	}
	unit, known := sizeUnits[strings.ToUpper(parts[2])]
	n, err := strconv.ParseFloat(parts[1], 64)
	if !known || err != nil || n*unit > 1<<60 {
		return 0, false
	}
	return int64(n * unit), true
}

// parseReserve reads "20%" or "5000".
func parseReserve(s string) (percent float64, credits int64, ok bool) {
	if share, isShare := strings.CutSuffix(s, "%"); isShare {
		percent, err := strconv.ParseFloat(strings.TrimSpace(share), 64)
		// NaN fails both comparisons' negation, so it is asked for by itself; at 100 % nothing could ever be read.
		return percent, 0, err == nil && !math.IsNaN(percent) && percent >= 0 && percent < 100
	}
	credits, err := strconv.ParseInt(s, 10, 64)
	return 0, credits, err == nil && credits >= 0
}

// parseID reads a Zoho id: digits only, since anything but a number as orgId gives an opaque 500 (TASKMAP).
func parseID(s string) (uint64, bool) {
	id, err := strconv.ParseUint(s, 10, 64)
	return id, err == nil && id > 0 && s[0] != '+'
}

// secret reads a reference or a literal and hides it.
func (v value) secret() Secret { return NewSecret(v.reference()) }

// reference reads a text given as it is, as {env: NAME} or as {file: PATH}; "" when it is not given or was refused.
// White space around it is dropped, as editors and shells leave a line end behind. Nothing of the text is ever quoted.
func (v value) reference() string {
	if v.absent() {
		return ""
	}
	s, ok := scalar(v.node)
	if !ok {
		s, ok = v.lookup()
	}
	s = strings.TrimSpace(s)
	switch {
	case !ok:
		return ""
	case s == "":
		v.fail("is set but empty", "give it a value or remove the key")
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		v.fail("holds a line break or another control character", "check for a second line or a broken copy")
		return ""
	}
	return s
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

const referenceFix = "write the text itself, {env: NAME} or {file: PATH}"

// lookup follows {env: NAME} or {file: PATH}. Keys inside are not quoted: {abc} could be a secret in wrong brackets.
func (v value) lookup() (string, bool) {
	quiet := value{d: &decoder{}, node: v.node}
	all, ok := quiet.entries()
	if !ok || len(all) != 1 || len(quiet.d.errs) > 0 || all[0].key != "env" && all[0].key != "file" {
		v.fail("is neither a text nor a reference", referenceFix)
		return "", false
	}
	from := all[0]
	from.place.d, from.place.path = v.d, join(v.path, from.key)
	at := from.value()
	name, ok := at.text()
	if !ok {
		return "", false
	}
	if all[0].key == "file" {
		return at.readFile(name)
	}
	return at.readEnv(name)
}

func (v value) readEnv(name string) (string, bool) {
	if !envName.MatchString(name) {
		v.fail("is not the name of an environment variable", "write {env: NAME}, with the secret in the variable")
		return "", false
	}
	s := v.d.getenv(name)
	if strings.TrimSpace(s) == "" {
		v.fail("environment variable "+name+" is not set, or is set but empty", "set it for this command or service")
		return "", false
	}
	return s, true
}

// maxSecretBytes bounds a file that holds one secret; the largest, a certificate chain, has some ten KiB.
const maxSecretBytes = 64 << 10

func (v value) readFile(path string) (string, bool) {
	full := path
	if !filepath.IsAbs(full) {
		full = filepath.Join(v.d.base, full)
	}
	f, err := os.Open(full)
	if err != nil {
		v.fail("file "+quote(path)+": "+fileProblem(err), "relative paths start at the config's folder")
		return "", false
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	switch {
	case err != nil:
		v.fail("file "+quote(path)+": "+fileProblem(err), "name a file that holds the secret and nothing else")
	case len(data) > maxSecretBytes:
		v.fail("file "+quote(path)+" is too large for a secret", "name a file that holds the secret and nothing else")
	case strings.TrimSpace(string(data)) == "":
		v.fail("file "+quote(path)+" is empty", "put the secret into it")
	default:
		return string(data), true
	}
	return "", false
}
