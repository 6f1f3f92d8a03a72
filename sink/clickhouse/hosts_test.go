package clickhouse

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"deskhouse/sink/embedded"
	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"
)

var onlyTickets = []source.Table{source.Tickets}

// fronts are two ways to one server, over one protocol.
func fronts(t *testing.T, target string) (one, two *enginetest.Front) {
	return enginetest.NewFront(t, target, nil), enginetest.NewFront(t, target, nil)
}

// eachTarget runs a test over native and HTTP; cfg names two fronts of the
// test's engine.
func eachTarget(t *testing.T, f func(t *testing.T, cfg Config, one, two *enginetest.Front)) {
	engine := enginetest.Start(t)
	for scheme, target := range map[string]string{"clickhouse": engine.Addr(), "http": engine.HTTPAddr()} {
		t.Run(scheme, func(t *testing.T) {
			cfg := config(t)
			one, two := fronts(t, target)
			cfg.URL = scheme + "://" + one.Addr + "," + two.Addr
			f(t, cfg, one, two)
		})
	}
}

func TestFirstHostIsDown(t *testing.T) {
	eachTarget(t, func(t *testing.T, cfg Config, one, two *enginetest.Front) {
		must(t, open(t, cfg).Prepare(ctx, onlyTickets))
		one.Down()
		w := open(t, cfg)
		must(t, w.Prepare(ctx, onlyTickets))
		must(t, w.Write(ctx, source.Tickets, tickets(t, 3), 1))
		wantRow(t, w, "3", "SELECT count() FROM tickets")
		two.Down()
		_, err := Open(ctx, cfg)
		wantErr(t, err, ErrUnreachable)
		if text := err.Error(); !Retryable(err) || !strings.Contains(text, one.Addr+": ") || !strings.Contains(text, two.Addr+": ") {
			t.Errorf("both down: %v", err)
		}
	})
}

// TestSilentHost has a first host that takes connections and says nothing.
func TestSilentHost(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	for scheme, addr := range map[string]string{"clickhouse": enginetest.Start(t).Addr(), "http": enginetest.Start(t).HTTPAddr()} {
		t.Run(scheme, func(t *testing.T) {
			cfg := config(t)
			cfg.URL = scheme + "://" + silent.Addr().String() + "," + addr + "?dial_timeout=300ms"
			must(t, open(t, cfg).askVersion(ctx))
		})
	}
}

// TestHostDiesBetweenWrites writes on while hosts go and come, repeating what
// may be repeated, as the pipeline does.
func TestHostDiesBetweenWrites(t *testing.T) {
	eachTarget(t, func(t *testing.T, cfg Config, one, two *enginetest.Front) {
		w := open(t, cfg)
		must(t, w.Prepare(ctx, onlyTickets))
		must(t, w.Fence(ctx, 1))
		all := tickets(t, 120)
		for i := 0; i < len(all); i += 10 {
			switch i {
			case 30:
				one.Down()
			case 60:
				one.Up(t)
			case 70: // nothing moves back by itself
				if one.Open() > 0 || two.Open() == 0 {
					t.Errorf("%d connections to the first, %d to the second", one.Open(), two.Open())
				}
			case 90:
				two.Down()
			}
			insist(t, func() error { return w.Write(ctx, source.Tickets, all[i:i+10], 1) })
		}
		wantRow(t, w, "120\t120\t7260", "SELECT count(), uniqExact(id), sum(id) FROM tickets")
	})
}

// TestHostDiesUnderAWrite cuts the host while blocks are on their way.
func TestHostDiesUnderAWrite(t *testing.T) {
	eachTarget(t, func(t *testing.T, cfg Config, one, _ *enginetest.Front) {
		w := open(t, cfg)
		must(t, w.Prepare(ctx, onlyTickets))
		all := tickets(t, 40_000) // two blocks
		half := one.After(1 << 20)
		down := make(chan struct{})
		go func() {
			defer close(down)
			select {
			case <-half:
				one.Down()
			case <-t.Context().Done():
			}
		}()
		insist(t, func() error { return w.Write(ctx, source.Tickets, all, 1) })
		<-down
		insist(t, func() error { return w.askVersion(ctx) })
		wantRow(t, w, "40000", "SELECT count() FROM tickets")
	})
}

// insist repeats a call as long as it may pass.
func insist(t *testing.T, call func() error) {
	t.Helper()
	for range 30 {
		err := call()
		if err == nil {
			return
		}
		if !Retryable(err) {
			t.Fatal(err)
		}
	}
	t.Fatal("30 attempts were not enough")
}

// TestHostsOfDifferentServers must never split rows between two servers, nor
// fill an empty one.
func TestHostsOfDifferentServers(t *testing.T) {
	stranger, err := embedded.Start(t.Context(), enginetest.Config(t))
	must(t, err)
	defer stranger.Close()
	here := enginetest.Start(t)
	for scheme, targets := range map[string][2]string{"clickhouse": {here.Addr(), stranger.Addr()}, "http": {here.HTTPAddr(), stranger.HTTPAddr()}} {
		t.Run(scheme, func(t *testing.T) {
			one, two := enginetest.NewFront(t, targets[0], nil), enginetest.NewFront(t, targets[1], nil)
			cfg := config(t)
			alone, both := scheme+"://"+one.Addr, scheme+"://"+one.Addr+","+two.Addr

			cfg.URL = both
			two.Down()
			err := open(t, cfg).Prepare(ctx, onlyTickets)
			wantErr(t, err, ErrUnreachable) // the other could hold the database
			wantRow(t, open(t, config(t)), "0", "SELECT count() FROM system.tables WHERE database = '%s'", cfg.Database)
			two.Up(t)
			wantErr(t, open(t, cfg).Prepare(ctx, onlyTickets), ErrOtherServer) // both empty, one is filled

			cfg.URL = alone
			must(t, open(t, cfg).Prepare(ctx, onlyTickets))
			cfg.URL = both
			err = open(t, cfg).Prepare(ctx, onlyTickets)
			wantErr(t, err, ErrOtherServer)
			if Retryable(err) || !strings.Contains(err.Error(), two.Addr+" does not show the tables that "+one.Addr+" holds") {
				t.Errorf("got %v", err)
			}
			opts, err := cfg.options()
			must(t, err)
			_, identity, err := newHosts(cfg, opts).identityOf(ctx, 0)
			must(t, err)
			var uuid, server string
			if n, err := fmt.Sscanf(identity, "%36s on %36s", &uuid, &server); n != 2 || err != nil || uuid == noUUID {
				t.Errorf("the rows of a plain engine are this server's own, but its identity is %q", identity)
			}
			answers, err := Hosts(ctx, cfg)
			must(t, err)
			if answers[0].Err != nil || !answers[0].Holds || answers[0].Version == "" || answers[1].Holds {
				t.Errorf("answers %+v", answers)
			}
			wantErr(t, answers[1].Err, ErrOtherServer)

			two.Down() // not seen when the tables are prepared
			w := open(t, cfg)
			must(t, w.Prepare(ctx, onlyTickets))
			two.Up(t)
			one.Down()
			for range 3 {
				err = w.Write(ctx, source.Tickets, tickets(t, 1), 1)
				wantErr(t, err, ErrUnreachable)
			}
			if !Retryable(err) || !strings.Contains(err.Error(), two.Addr+": warehouse is unreachable: "+errStranger.Error()) {
				t.Errorf("got %v", err)
			}
			one.Up(t)
			insist(t, func() error { return w.Write(ctx, source.Tickets, tickets(t, 1), 1) })
			wantRow(t, w, "1", "SELECT count() FROM tickets")
		})
	}
}
