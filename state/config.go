package state

import (
	"fmt"
	"net/url"
	"regexp"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
)

// EmbeddedURL as Config.URL runs the server inside this process.
const EmbeddedURL = "embedded"

const (
	// DefaultMaxLogBytes is the size of one pipeline's event log when Config.MaxLogBytes is 0.
	DefaultMaxLogBytes = 4 << 30
	// deadLetterShare: a pipeline's dead letters may take one part in this many of MaxLogBytes, on top of it.
	deadLetterShare = 4
)

// Config says where the state is and how large it may grow.
type Config struct {
	// URL is "embedded", or nats:// or tls:// with host and port. It may carry credentials and is never logged.
	URL string
	// Dir is the folder of the embedded server, made with mode 0700 if missing. Not used with an external one.
	Dir string
	// Key is the state key of 32 bytes. Nil opens the state without its secrets: for tools that read none.
	Key []byte
	// MaxLogBytes bounds each pipeline's event log on disk, as stored. 0 means DefaultMaxLogBytes.
	MaxLogBytes int64
	// ReserveBytes: log appends are refused while less than this is free on the folder's file system, so that
	// checkpoints can still be written. 0 means no reserve. Embedded only.
	ReserveBytes int64
	// Replicas of streams newly made on an external cluster; existing ones are left as they are. 0 means 1.
	Replicas int
	Logger   zerolog.Logger
	// Clock is used for lease times and waits. Nil means the real one.
	Clock clockwork.Clock
}

func (c Config) withDefaults() Config {
	if c.MaxLogBytes == 0 {
		c.MaxLogBytes = DefaultMaxLogBytes
	}
	if c.Replicas == 0 || c.embedded() {
		c.Replicas = 1
	}
	if c.Clock == nil {
		c.Clock = clockwork.NewRealClock()
	}
	return c
}

func (c Config) embedded() bool { return c.URL == EmbeddedURL }

// validate names field and reason, never the URL itself: it may hold a password.
func (c Config) validate() error {
	if c.embedded() && c.Dir == "" {
		return fmt.Errorf("state dir: empty, but the embedded server needs a folder")
	}
	if !c.embedded() {
		u, err := url.Parse(c.URL)
		if err != nil || (u.Scheme != "nats" && u.Scheme != "tls") || u.Host == "" {
			return fmt.Errorf(`state url: want "embedded", nats://host:port or tls://host:port`)
		}
	}
	if c.Key != nil && len(c.Key) != keyBytes {
		return fmt.Errorf("state key: %d bytes, want %d", len(c.Key), keyBytes)
	}
	if c.MaxLogBytes < 0 || c.ReserveBytes < 0 || c.Replicas < 0 || c.Replicas > 5 {
		return fmt.Errorf("state: log limit, reserve and replicas (at most 5) cannot be negative")
	}
	return nil
}

// Stream names become folder names and subject parts; 64 characters are enough for any pipeline.
var pipelineName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func checkPipeline(name string) error {
	if !pipelineName.MatchString(name) {
		return fmt.Errorf("pipeline %q: %w: want 1 to 64 letters, digits, - or _", name, ErrInvalidName)
	}
	return nil
}

// Keys are dot-separated tokens in the characters JetStream's key-value buckets allow (NATS ADR-8).
var keyName = regexp.MustCompile(`^[A-Za-z0-9_=/-]+(\.[A-Za-z0-9_=/-]+)*$`)

// metaPrefix is this package's own part of the key space.
const metaPrefix = "meta."

const maxKeyBytes = 512

func checkKey(key string) error {
	if !keyName.MatchString(key) || len(key) > maxKeyBytes || len(key) > len(metaPrefix) && key[:len(metaPrefix)] == metaPrefix {
		return fmt.Errorf("key %q: %w", key, ErrInvalidName)
	}
	return nil
}
