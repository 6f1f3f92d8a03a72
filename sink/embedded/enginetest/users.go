package enginetest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"deskhouse/sink/embedded"
	"deskhouse/sink/embedded/launch"
)

// User is a login of a server with users. Grants are GRANT statements without their TO. From is the address or network it
// may come from, empty for any.
type User struct {
	Name, Password, From string
	Grants               []string
}

// Server is an engine that knows users, as a ClickHouse of the customer's own does: reading system tables, table engines
// and everything else needs a grant (the settings of the config.xml that ClickHouse ships).
type Server struct{ TCP, HTTP string } // host:port

// usersXML is ClickHouse's users file. The user default may do everything, unless it is among the users given.
const usersXML = `<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users>
%s</users></clickhouse>`

const defaultUserXML = `<default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default>
`

const serverXML = `<clickhouse><timezone>UTC</timezone><users_config>%s</users_config>
<access_control_improvements>
<select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
<select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
<table_engines_require_grant>true</table_engines_require_grant>
</access_control_improvements></clickhouse>`

// StartWithUsers starts an engine of the test's own that asks for a login. cfg needs Engine, Library and a Dir that does not
// exist yet; the engine ends with the test. Log in over HTTP where a login is to be refused: the library ends on a refused
// native handshake.
func StartWithUsers(t testing.TB, cfg embedded.Config, users []User) Server {
	t.Helper()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	list, config := filepath.Join(cfg.Dir, "users.xml"), filepath.Join(cfg.Dir, "server.xml")
	for path, text := range map[string]string{list: fmt.Sprintf(usersXML, usersText(users)), config: fmt.Sprintf(serverXML, list)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := Server{freePort(t), freePort(t)}
	s.spawn(t, cfg, config)
	s.wait(t)
	return s
}

func usersText(users []User) string {
	var b strings.Builder
	escape := func(s string) string {
		var e bytes.Buffer
		_ = xml.EscapeText(&e, []byte(s)) // a buffer takes everything
		return e.String()
	}
	if !slices.ContainsFunc(users, func(u User) bool { return u.Name == "default" }) {
		b.WriteString(defaultUserXML)
	}
	for _, u := range users {
		fmt.Fprintf(&b, "<%s><password>%s</password><networks><ip>%s</ip></networks><profile>default</profile><quota>default</quota><grants>",
			u.Name, escape(u.Password), cmp.Or(u.From, "::/0"))
		for _, g := range u.Grants {
			fmt.Fprintf(&b, "<query>%s</query>", escape(g))
		}
		fmt.Fprintf(&b, "</grants></%s>\n", u.Name)
	}
	return b.String()
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s Server) spawn(t testing.TB, cfg embedded.Config, config string) {
	t.Helper()
	port := func(addr string) int {
		n, err := strconv.Atoi(addr[strings.LastIndexByte(addr, ':')+1:])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	cmd := exec.Command(cfg.Engine, launch.Args{Library: cfg.Library, Dir: filepath.Join(cfg.Dir, "data"), Host: "127.0.0.1",
		TCPPort: port(s.TCP), HTTPPort: port(s.HTTP), ConfigFile: config}.Strings()...)
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("start an engine with users: %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close() // tells it to end
		if err := cmd.Wait(); err != nil {
			t.Errorf("engine with users: %v", err)
		}
	})
}

// wait asks until the server answers.
func (s Server) wait(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.HTTP+"/ping", nil)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = reply.Body.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("an engine with users does not answer: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
