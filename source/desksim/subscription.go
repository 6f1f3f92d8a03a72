package desksim

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// webhook is one subscription. Stored ones are never changed, only replaced.
type webhook struct {
	id                     uint64
	url, name, description string
	named, described       bool
	automation             bool
	automationSet          bool
	enabled                bool
	events                 map[string]subscription
	order                  []string // of events, as given
	created, modified      int64
}

// subscription is what one event of a webhook was asked with.
type subscription struct {
	raw         []byte // as given, for the reply
	departments []uint64
	prevState   bool
	fields      []string
}

// options says which members the options of an event may have; none means the value must be null (OAS Webhook.json).
type options struct{ departments, prevState, fields, direction bool }

var (
	plainEvent  = options{}
	deptEvent   = options{departments: true}
	prevEvent   = options{prevState: true}
	deptPrev    = options{departments: true, prevState: true}
	webhookKind = map[string]options{
		"Ticket_Add": deptEvent, "Ticket_Update": {departments: true, prevState: true, fields: true}, "Ticket_Delete": plainEvent,
		"Ticket_Thread_Add": {departments: true, direction: true}, "Ticket_Comment_Add": deptEvent, "Ticket_Comment_Update": deptEvent,
		"Ticket_Attachment_Add": plainEvent, "Ticket_Attachment_Update": plainEvent, "Ticket_Attachment_Trashed": deptEvent,
		"Ticket_Attachment_Restored": deptEvent, "Ticket_Attachment_Delete": deptEvent, "Ticket_Comment_Attachment_Add": plainEvent,
		"Ticket_Comment_Attachment_Delete": plainEvent, "Ticket_Approval_Add": plainEvent, "Ticket_Approval_Update": prevEvent,
		"Department_Add": plainEvent, "Department_Update": prevEvent,
		"Contact_Add": plainEvent, "Contact_Update": prevEvent, "Contact_Delete": plainEvent,
		"Account_Add": plainEvent, "Account_Update": prevEvent, "Account_Delete": plainEvent,
		"Agent_Add": plainEvent, "Agent_Update": prevEvent, "Agent_Delete": plainEvent,
		"Agent_Presence_Update": plainEvent, "Agent_Channel_Preference_Update": plainEvent,
		"Task_Add": deptEvent, "Task_Update": deptPrev, "Task_Delete": plainEvent,
		"Call_Add": deptEvent, "Call_Update": deptPrev, "Call_Delete": plainEvent,
		"Event_Add": deptEvent, "Event_Update": deptPrev, "Event_Delete": plainEvent,
		"TimeEntry_Add": plainEvent, "TimeEntry_Update": prevEvent, "TimeEntry_Delete": plainEvent,
		"Article_Add": plainEvent, "Article_Update": prevEvent, "Article_Delete": plainEvent, "Article_Feedback_Add": plainEvent,
		"Article_Translation_Add": plainEvent, "Article_Translation_Update": prevEvent, "Article_Translation_Delete": plainEvent,
		"KBRootCategory_Add": plainEvent, "KBRootCategory_Update": prevEvent, "KBRootCategory_Delete": plainEvent,
		"KBSection_Add": plainEvent, "KBSection_Update": prevEvent, "KBSection_Delete": plainEvent,
		"IM_Message_Add": deptEvent, "IM_Message_Status": deptEvent, "IM_Session_Status": deptEvent,
	}
)

const (
	urlOnCreate = 500 // newest OAS Webhook.json; the update schema says 100
	urlOnUpdate = 100
)

var (
	// urlPattern is OAS Webhook.json's; a port is allowed.
	urlPattern         = regexp.MustCompile(`^(ht|f)tp(s?)://[-.\w]*(/?)([a-zA-Z0-9\-.?,:'/\\+=&%$#_@]*)?$`)
	descriptionPattern = regexp.MustCompile(`^[0-9a-zA-Z_\-.$@?,:'/!\s\x{80}-\x{10FFFF}]*$`)
)

// webhookBody is a decoded body of POST or PATCH; nil members were not given.
type webhookBody map[string]json.RawMessage

// apply checks a body against the rules of creation or update and changes w accordingly. known tells which departments
// exist.
func (w *webhook) apply(body webhookBody, create bool, known func(uint64) bool) *apiError {
	for _, name := range sortedKeys(body) {
		if !slices.Contains([]string{"subscriptions", "url", "name", "description", "includeEventsFrom", "ignoreSourceId", "isEnabled"}, name) {
			return errData("/"+name, "invalid")
		}
	}
	if isNull(body["subscriptions"]) {
		return errData("/subscriptions", "missing")
	}
	if create && isNull(body["url"]) {
		return errData("/url", "missing")
	}
	if err := w.applySubscriptions(body["subscriptions"], known); err != nil {
		return err
	}
	return w.applyRest(body, create)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func isNull(v json.RawMessage) bool { return v == nil || string(bytes.TrimSpace(v)) == "null" }

func (w *webhook) applyRest(body webhookBody, create bool) *apiError {
	longest := urlOnUpdate
	if create {
		longest = urlOnCreate
	}
	if v := body["url"]; !isNull(v) {
		if json.Unmarshal(v, &w.url) != nil || len(w.url) > longest || !urlPattern.MatchString(w.url) {
			return errData("/url", "invalid")
		}
	}
	if v := body["name"]; !isNull(v) {
		if json.Unmarshal(v, &w.name) != nil || utf8.RuneCountInString(w.name) > 100 {
			return errData("/name", "invalid")
		}
		w.named = true
	}
	if v := body["description"]; !isNull(v) {
		if json.Unmarshal(v, &w.description) != nil || utf8.RuneCountInString(w.description) > 3000 || !descriptionPattern.MatchString(w.description) {
			return errData("/description", "invalid")
		}
		w.described = true
	}
	if v := body["isEnabled"]; !isNull(v) && json.Unmarshal(v, &w.enabled) != nil {
		return errData("/isEnabled", "invalid")
	}
	// A valid UUID was refused by a live portal with 422 at this pointer, so every value is.
	if !isNull(body["ignoreSourceId"]) {
		return errData("/ignoreSourceId", "invalid")
	}
	return w.applyOrigin(body["includeEventsFrom"])
}

func (w *webhook) applyOrigin(v json.RawMessage) *apiError {
	if v == nil {
		return nil
	}
	var origins []string
	if json.Unmarshal(v, &origins) != nil || slices.ContainsFunc(origins, func(s string) bool { return s != "AUTOMATION" }) {
		return errData("/includeEventsFrom", "invalid")
	}
	w.automation, w.automationSet = len(origins) > 0, origins != nil
	return nil
}

func (w *webhook) applySubscriptions(v json.RawMessage, known func(uint64) bool) *apiError {
	var given map[string]json.RawMessage
	if json.Unmarshal(v, &given) != nil {
		return errData("/subscriptions", "invalid")
	}
	if len(given) == 0 {
		return errData("/subscriptions", "missing")
	}
	events := map[string]subscription{}
	for _, name := range sortedKeys(given) {
		allowed, ok := webhookKind[name]
		if !ok {
			return errData("/subscriptions/"+name, "invalid")
		}
		s, err := parseSubscription("/subscriptions/"+name, given[name], allowed, known)
		if err != nil {
			return err
		}
		events[name] = s
	}
	w.events, w.order = events, sortedKeys(events)
	return nil
}

func parseSubscription(at string, v json.RawMessage, allowed options, known func(uint64) bool) (subscription, *apiError) {
	s := subscription{raw: bytes.Clone(bytes.TrimSpace(v))}
	if isNull(v) {
		return s, nil
	}
	var given map[string]json.RawMessage
	if allowed == plainEvent || json.Unmarshal(v, &given) != nil {
		return s, errData(at, "invalid") // an event without options takes null, not {}
	}
	for _, name := range sortedKeys(given) {
		if err := s.option(at+"/"+name, name, given[name], allowed, known); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *subscription) option(at, name string, v json.RawMessage, allowed options, known func(uint64) bool) *apiError {
	var ok bool
	switch name {
	case "departmentIds", "departmentId": // the newest schema shows both on the ticket events
		var ids []uint64
		ids, ok = parseIDs(v)
		ok = ok && allowed.departments && !slices.ContainsFunc(ids, func(id uint64) bool { return !known(id) })
		s.departments = append(s.departments, ids...)
	case "includePrevState":
		ok = allowed.prevState && json.Unmarshal(v, &s.prevState) == nil
	case "fields":
		ok = allowed.fields && json.Unmarshal(v, &s.fields) == nil && len(s.fields) <= 5
	case "direction":
		var d *string
		ok = allowed.direction && json.Unmarshal(v, &d) == nil && (d == nil || *d == "in" || *d == "out")
	}
	if !ok {
		return errData(at, "invalid")
	}
	return nil
}

// parseIDs reads an array of ids, each a string or a number.
func parseIDs(v json.RawMessage) ([]uint64, bool) {
	var raw []json.RawMessage
	if json.Unmarshal(v, &raw) != nil {
		return nil, false
	}
	ids := make([]uint64, len(raw))
	for i, r := range raw {
		id, err := strconv.ParseUint(strings.Trim(string(r), `"`), 10, 63)
		if err != nil {
			return nil, false
		}
		ids[i] = id
	}
	return ids, true
}

// wants tells whether an event of a department reaches this webhook.
func (w *webhook) wants(e *event) (subscription, bool) {
	s, ok := w.events[e.kind]
	switch {
	case !ok || !w.enabled || e.automation && !w.automation:
		return s, false
	case len(s.departments) > 0 && !slices.Contains(s.departments, e.department):
		return s, false
	case len(s.fields) > 0 && !slices.ContainsFunc(e.changed, func(f string) bool { return slices.Contains(s.fields, f) }):
		return s, false
	}
	return s, true
}

// appendWebhook writes the object of GET /webhooks/{id} (OAS Webhook.json).
func appendWebhook(b []byte, w *webhook) []byte {
	o := openObject(b)
	o.id("id", w.id)
	o.textOrNull("name", ifSet(w.named, &w.name))
	o.textOrNull("description", ifSet(w.described, &w.description))
	o.text("url", w.url)
	o.boolean("isEnabled", w.enabled)
	o.plain("type", "CUSTOMER_WEBHOOK")
	o.null("ignoreSourceId")
	switch {
	case w.automation:
		o.raw("includeEventsFrom", []byte(`["AUTOMATION"]`))
	case w.automationSet:
		o.raw("includeEventsFrom", []byte(`[]`))
	default:
		o.null("includeEventsFrom")
	}
	o.id("createdBy", kindAgent.id(0))
	o.time("createdTime", w.created)
	o.time("modifiedTime", w.modified)
	o.key("subscriptions")
	n := openObject(o.b)
	for _, name := range w.order {
		n.raw(name, w.events[name].raw)
	}
	o.b = n.close()
	return o.close()
}

func ifSet(set bool, s *string) *string {
	if !set {
		return nil
	}
	return s
}
