package webhook

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the intake. Labels come from closed sets: configured pipelines, outcomes, known event names, reasons.
type metrics struct {
	deliveries  *prometheus.CounterVec
	events      *prometheus.CounterVec
	deadLetters *prometheus.CounterVec
	appends     prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "deskhouse_intake_deliveries_total",
			Help: "Webhook requests by pipeline and result; requests without a valid URL have no pipeline.",
		}, []string{"pipeline", "result"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "deskhouse_intake_events_total",
			Help: "Events stored in the log by pipeline and type; hint is a workflow notification, other an unknown type.",
		}, []string{"pipeline", "type"}),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "deskhouse_intake_dead_letters_total",
			Help: "Events and bodies kept as dead letters by pipeline and reason.",
		}, []string{"pipeline", "reason"}),
		appends: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "deskhouse_intake_append_seconds",
			Help:    "Duration of one durable append of a group of deliveries.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14), // 0.5 ms to 4 s
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.deliveries, m.events, m.deadLetters, m.appends} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// typeLabel keeps invented event types from making new time series.
func typeLabel(e Event) string {
	switch {
	case e.Kind == Hint:
		return "hint"
	case knownTypes[e.Type]:
		return e.Type
	}
	return "other"
}

// knownTypes are the event names of OAS Webhook.json, WEBHOOKDOC and SLATES.
var knownTypes = eventNames(
	[]string{"Contact", "Account", "Agent", "Task", "Call", "Event", "TimeEntry", "Article", "Article_Translation", "KBRootCategory", "KBSection"},
	"Ticket_Add", "Ticket_Update", "Ticket_Delete", "Department_Add", "Department_Update",
	"Ticket_Thread_Add", "Ticket_Comment_Add", "Ticket_Comment_Update",
	"Ticket_Attachment_Add", "Ticket_Attachment_Update", "Ticket_Attachment_Trashed", "Ticket_Attachment_Restored", "Ticket_Attachment_Delete",
	"Ticket_Comment_Attachment_Add", "Ticket_Comment_Attachment_Delete", "Ticket_Approval_Add", "Ticket_Approval_Update",
	"Agent_Presence_Update", "Agent_Channel_Preference_Update", "Article_Feedback_Add",
	"IM_Message_Add", "IM_Message_Status", "IM_Session_Status",
)

// eventNames adds the names of modules that have Add, Update and Delete.
func eventNames(modules []string, others ...string) map[string]bool {
	names := make(map[string]bool)
	for _, m := range modules {
		names[m+"_Add"], names[m+"_Update"], names[m+"_Delete"] = true, true, true
	}
	for _, o := range others {
		names[o] = true
	}
	return names
}
