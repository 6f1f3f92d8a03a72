package oascheck

import (
	"path"
	"strings"
)

// Departure is a place where the API as documented elsewhere, or seen live, differs from the files.
type Departure struct {
	Method string // "" for any
	Path   string // template of the file, or a path the files lack; * stands for one segment
	Kind   string // of Problem
	At     string // of Problem; * stands for any run of characters
	Reason string
}

// The reasons name Zoho's newer OpenAPI files ("newer file"), and replies of live portals published by others ("captures").
const (
	newer   = "in the newer file"
	fieldsV = "more members asked for with fields"
	joined  = "the file wraps each joined object in a list called data, as no other call does; single records and newer files have plain objects"
	options = "the file's own example sends only departmentIds; live clients send only what they want"
)

// Departures is the list of them all.
var Departures = []Departure{
	{"", "/api/v1/tickets/*", "value", "*/cf/*", "captures show text unescaped and multi-select labels joined by ; which the pattern refuses"},
	{"", "/api/v1/tickets/*", "value", "*/customFields/*", "as above"},
	{"", "/api/v1/products/*", "value", "*/cf/*", "as above"},
	{"", "/api/v1/products/*", "value", "*/customFields/*", "as above"},
	{"", "/api/v1/contracts/*", "value", "/cf/*", "as above"},
	{"", "/api/v1/contracts/*", "value", "/customFields/*", "as above"},

	{"GET", "/api/v1/tickets", "member", "/data/*/lockedTime", newer},
	{"GET", "/api/v1/tickets/archivedTickets", "member", "/data/*/lockedTime", newer},
	{"GET", "/api/v1/tickets/{ticketId}", "member", "/lockedTime", newer},
	{"GET", "/api/v1/tickets/{ticketId}", "member", "/sourceTicket", newer},
	{"GET", "/api/v1/tickets", "missing", "departmentId", "optional " + newer + " and in captures"},
	{"GET", "/api/v1/tickets", "parameter", "departmentIds", newer},
	{"GET", "/api/v1/tickets", "parameter", "viewId", newer},
	{"GET", "/api/v1/tickets", "parameter", "priority", newer},
	{"GET", "/api/v1/tickets", "parameter", "fields", newer},
	{"GET", "/api/v1/tickets", "value", "sortBy", "responseDueDate and customerResponseTime in the help pages, modifiedTime in captures"},
	{"GET", "/api/v1/tickets", "value", "receivedInDays", "-1 " + newer},
	{"GET", "/api/v1/tickets/search", "parameter", "customField*", newer},
	{"GET", "/api/v1/ticketsCount", "parameter", "customField*", newer},

	{"GET", "/api/v1/products", "missing", "viewId", "optional " + newer},
	{"GET", "/api/v1/products", "parameter", "fields", newer},
	{"GET", "/api/v1/products", "member", "/data/*/createdTime", fieldsV},
	{"GET", "/api/v1/products", "member", "/data/*/modifiedTime", fieldsV},
	{"GET", "/api/v1/products/{productId}", "member", "/departments", "the file lists the value for include and forgets the member"},
	{"GET", "/api/v1/products/{productId}", "member", "/owner", "the file lists the value for include and forgets the member"},
	{"GET", "/api/v1/contracts", "parameter", "viewId", newer},
	{"GET", "/api/v1/contracts", "parameter", "filterId", newer},
	{"GET", "/api/v1/contracts", "member", "/data/*/createdTime", fieldsV},
	{"GET", "/api/v1/contracts", "member", "/data/*/modifiedTime", fieldsV},
	{"GET", "/api/v1/contracts", "member", "/data/*/*/*", joined},
	{"GET", "/api/v1/contracts", "missing", "/data/*/*/data", joined},

	{"GET", "/api/v1/fields", "endpoint", "", "the successor of organizationFields, only " + newer},
	{"GET", "/api/v1/fields/*", "endpoint", "", "the successor of organizationFields, only " + newer},
	{"GET", "/api/v1/organizationFields", "parameter", "apiNames", newer},
	{"GET", "/api/v1/organizationFields/{fieldId}", "member", "/allowedValues", "the file forgets the status field among the shapes of a single field"},
	{"GET", "/api/v1/organizations", "missing", "orgId", "the one call that works without (help pages)"},
	{"GET", "/api/v1/recycleBin", "parameter", "module", newer + ", there deprecated in favour of moduleId"},
	{"GET", "/api/v1/recycleBin", "parameter", "sortBy", newer},
	{"GET", "/api/v1/recycleBin", "value", "limit", "50 in the schema, 100 in its description and " + newer},

	{"", "/api/v1/webhooks", "missing", "*/subscriptions/*", options},
	{"", "/api/v1/webhooks", "missing", "/subscriptions/*", options},
	{"", "/api/v1/webhooks/{webhookId}", "missing", "/subscriptions/*", options},
	{"POST", "/api/v1/webhooks", "value", "/url", "500 characters " + newer},
}

func departs(p Problem) bool {
	for _, d := range Departures {
		inPath, err := path.Match(d.Path, p.Path)
		if err == nil && inPath && (d.Method == "" || d.Method == p.Method) && d.Kind == p.Kind && starred(d.At, p.At) {
			return true
		}
	}
	return false
}

// starred matches text against a pattern in which * stands for any run of characters.
func starred(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	if !strings.HasPrefix(text, head) {
		return false
	}
	for i := len(head); i <= len(text); i++ {
		if starred(rest, text[i:]) {
			return true
		}
	}
	return false
}
