package zohodesk

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"deskhouse/source"
)

// metrics are one connection's. Without a registerer the collectors count for
// nobody, which spares every caller the question.
type metrics struct {
	connection string
	calls      *prometheus.CounterVec
	spent      [len(priorityNames)]prometheus.Counter
	inFlight   prometheus.Gauge
	remaining  prometheus.Gauge
}

func newMetrics(connection string, r prometheus.Registerer) (*metrics, error) {
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "deskhouse_zoho_calls_total",
		Help: "Requests to Zoho Desk by endpoint and result, retries included."}, []string{"connection", "endpoint", "result"})
	spent := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "deskhouse_zoho_credits_total",
		Help: "API credits spent, by what they were spent for."}, []string{"connection", "priority"})
	inFlight := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "deskhouse_zoho_in_flight",
		Help: "Requests to Zoho Desk in flight."}, []string{"connection"})
	remaining := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "deskhouse_zoho_credits_remaining",
		Help: "API credits left today as Zoho told last, -1 before it did."}, []string{"connection"})
	if r != nil {
		err := errors.Join(register(r, &calls), register(r, &spent), register(r, &inFlight), register(r, &remaining))
		if err != nil {
			return nil, err
		}
	}
	m := &metrics{connection: connection, calls: calls,
		inFlight: inFlight.WithLabelValues(connection), remaining: remaining.WithLabelValues(connection)}
	for p, name := range priorityNames {
		m.spent[p] = spent.WithLabelValues(connection, name)
	}
	return m, nil
}

// register adds a collector, or takes the one that another connection added.
func register[C prometheus.Collector](r prometheus.Registerer, c *C) error {
	err := r.Register(*c)
	var already prometheus.AlreadyRegisteredError
	if !errors.As(err, &already) {
		return err
	}
	same, ok := already.ExistingCollector.(C)
	if !ok {
		return err
	}
	*c = same
	return nil
}

var faultNames = map[source.Fault]string{
	source.FaultRetry: "retry", source.FaultNotFound: "not_found", source.FaultForbidden: "forbidden",
	source.FaultUnauthorized: "unauthorized", source.FaultInvalid: "invalid", source.FaultBadReply: "bad_reply",
}

func resultOf(err error) string {
	var call *source.CallError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &call):
		return faultNames[call.Fault]
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "cancelled"
	}
	return "error"
}

func (m *metrics) call(endpoint string, err error) {
	m.calls.WithLabelValues(m.connection, endpoint, resultOf(err)).Inc()
}

var priorityNames = [...]string{"reread", "poll", "snapshot", "hydration"}

func (m *metrics) credits(p source.Priority, n int64) { m.spent[p].Add(float64(n)) }

func (m *metrics) load(inFlight int, remaining int64) {
	m.inFlight.Set(float64(inFlight))
	m.remaining.Set(float64(remaining))
}
