package state

import (
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// serverLog passes nats-server's lines on: what it calls notices as debug, warnings and errors as warnings. They name
// streams, files and counts, never contents. An error value in an error line is handed to onError as well: that is how a
// failed write becomes known at once, with its type.
type serverLog struct {
	log     zerolog.Logger
	onError func(error)
}

var _ server.Logger = (*serverLog)(nil)

const serverLine = "state server"

func (l *serverLog) Noticef(format string, v ...any) { l.debug(format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { l.debug(format, v) }
func (l *serverLog) Tracef(format string, v ...any)  { l.debug(format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.warn(format, v) }

// Errorf also serves Fatalf: nats-server itself does not end the process, and the caller of start sees that it failed.
func (l *serverLog) Errorf(format string, v ...any) {
	l.warn(format, v)
	var found error
	for _, arg := range v {
		if err, ok := arg.(error); ok {
			found = err
		}
	}
	l.onError(found)
}

func (l *serverLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

func (l *serverLog) debug(format string, v []any) {
	if e := l.log.Debug(); e.Enabled() {
		e.Str("line", fmt.Sprintf(format, v...)).Msg(serverLine)
	}
}

func (l *serverLog) warn(format string, v []any) {
	l.log.Warn().Str("line", fmt.Sprintf(format, v...)).Msg(serverLine)
}
