package pipeline

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"deskhouse/source"
)

// metrics are the pipeline's counters; all carry the pipeline's name as a
// constant label.
type metrics struct {
	rowsWritten *prometheus.CounterVec
	rereads     *prometheus.CounterVec
	ignoredEv   prometheus.Counter
	letters     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, pipeline string) *metrics {
	label := prometheus.Labels{"pipeline": pipeline}
	m := &metrics{
		rowsWritten: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "deskhouse_rows_written_total",
			Help: "Main rows written to the warehouse.", ConstLabels: label}, []string{"table"}),
		rereads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "deskhouse_rereads_total",
			Help: "Records read again by id, by result.", ConstLabels: label}, []string{"table", "result"}),
		ignoredEv: prometheus.NewCounter(prometheus.CounterOpts{Name: "deskhouse_events_ignored_total",
			Help: "Logged events of no synchronised table.", ConstLabels: label}),
		letters: prometheus.NewCounter(prometheus.CounterOpts{Name: "deskhouse_dead_letters_total",
			Help: "Events and rows kept as dead letters.", ConstLabels: label}),
	}
	if reg != nil {
		m.rowsWritten, m.rereads = registered(reg, m.rowsWritten), registered(reg, m.rereads)
		m.ignoredEv, m.letters = registered(reg, m.ignoredEv), registered(reg, m.letters)
	}
	return m
}

// registered is c, or the same counter of an earlier run of the sync in this
// process, which goes on counting.
func registered[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	var earlier prometheus.AlreadyRegisteredError
	err := reg.Register(c)
	if errors.As(err, &earlier) {
		return earlier.ExistingCollector.(C)
	}
	if err != nil {
		panic(err) // two metrics of one name: a mistake of this package
	}
	return c
}

func (m *metrics) written(t source.Table, rows int) {
	m.rowsWritten.WithLabelValues(string(t)).Add(float64(rows))
}
func (m *metrics) reread(t source.Table, result string) {
	m.rereads.WithLabelValues(string(t), result).Inc()
}
func (m *metrics) ignored(string) { m.ignoredEv.Inc() }
func (m *metrics) deadLetter()    { m.letters.Inc() }
