package config

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Embedded is the url of a warehouse or of a state that deskhouse runs itself.
const Embedded = "embedded"

// login is the user and password that an address carried.
type login struct {
	user     string
	password Secret
}

// httpURL reads an http or https address without credentials, and drops the slash at its end.
func (v value) httpURL() string {
	s, ok := v.text()
	if !ok {
		return ""
	}
	return v.checkHTTP(s)
}

func (v value) checkHTTP(s string) string {
	u, err := url.Parse(s)
	switch {
	// The value is not quoted: a URL is where people leave passwords.
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !validPort(u.Port()):
		v.fail("is not an http or https address", "write https://host or https://host:port/path")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		v.fail("carries a user, a query or a fragment", "write the address up to the path only")
	}
	return strings.TrimRight(s, "/")
}

// parseServer reads the address of a server with one of the schemes, and takes user and password out of it. As it may
// carry a password it is never quoted.
func (v value) parseServer(s string, schemes []string) (*url.URL, login) {
	fix := "write " + Embedded + " or an address such as " + schemes[0] + "://host:port"
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) || !validPort(u.Port()) {
		v.fail("is not a "+strings.Join(schemes, ":// or ")+":// address with a host", fix)
		return nil, login{}
	}
	for key := range u.Query() {
		if k := strings.ToLower(key); k == "password" || k == "username" || k == "user" {
			v.fail("carries "+k+" in its query", "write user and password as keys of their own")
			return nil, login{}
		}
	}
	var l login
	if u.User != nil {
		password, _ := u.User.Password()
		l = login{user: u.User.Username(), password: NewSecret(password)}
		u.User = nil
	}
	return u, l
}

// merge adds the keys user and password to what the address carried; saying it twice is a mistake.
func (l login) merge(user, password value) login {
	if s := user.reference(); s != "" {
		if l.user != "" {
			user.fail("is also in url", "keep one of the two")
		}
		l.user = s
	}
	if s := password.secret(); !s.IsZero() {
		if !l.password.IsZero() {
			password.fail("is also in url", "keep one of the two")
		}
		l.password = s
	}
	return l
}

// listen reads host:port, [v6]:port or :port; port 0 lets the system choose.
func (v value) listen(otherwise string) string {
	s, ok := v.text()
	if !ok {
		return otherwise
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || port == "" || !validPort(port) || strings.ContainsAny(host, "/ @") {
		v.fail(quote(s)+" is not an address to listen on", `write ":8080" or "127.0.0.1:8080"`)
	}
	return s
}

// validPort accepts no port, and 0 to 65535.
func validPort(port string) bool {
	if port == "" {
		return true
	}
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}
