package state

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

const (
	connectTimeout = 5 * time.Second
	// An embedded server that was restarted is back within milliseconds; an external one should not be hammered.
	reconnectEmbedded = 10 * time.Millisecond
	reconnectExternal = time.Second
	// payloadMargin is left of the server's largest message for our envelope, headers and subject.
	payloadMargin = 1024
)

// connect opens the one connection of the store. It repairs itself for as long as the store is open.
func (s *Store) connect() error {
	options := []nats.Option{
		nats.Name("deskhouse " + s.instance),
		nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.cfg.Logger.Warn().Err(err).Msg("state connection error")
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			level := zerolog.DebugLevel
			if err != nil {
				level = zerolog.WarnLevel
			}
			s.cfg.Logger.WithLevel(level).Err(err).Msg("state connection lost")
		}),
		nats.ReconnectHandler(func(*nats.Conn) { s.cfg.Logger.Info().Msg("state connection is back") }),
	}
	url := s.cfg.URL
	if s.server != nil {
		url = ""
		options = append(options, nats.InProcessServer(s.server), nats.ReconnectWait(reconnectEmbedded), nats.ReconnectJitter(0, 0))
	} else {
		options = append(options, nats.ReconnectWait(reconnectExternal))
	}
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return fmt.Errorf("connect to state server: %w", err)
	}
	s.nc = nc
	if err := checkServer(nc.ConnectedServerVersion()); err != nil {
		return err
	}
	if s.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(defaultCallTimeout)); err != nil {
		return fmt.Errorf("connect to state server: %w", err)
	}
	return nil
}

// maxPayload is the largest value the server takes: 8 MiB embedded, 1 MiB on a server with NATS's default.
func (s *Store) maxPayload() int { return int(s.nc.MaxPayload()) - payloadMargin }

// checkServer wants nats-server 2.11, the first with direct gets of a batch (NATS ADR-31), which readers are made of.
func checkServer(version string) error {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return fmt.Errorf("state server version %q: not understood", version)
	}
	if major < 2 || major == 2 && minor < 11 {
		return fmt.Errorf("state server version %s: too old, want nats-server 2.11 or newer", version)
	}
	return nil
}
