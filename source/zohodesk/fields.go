package zohodesk

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"deskhouse/source"
)

// The two resources that describe fields. /organizationFields is deprecated
// since 2026-07-01 (OAS FieldOld.json); what it answers now is not documented,
// so both are supported and the one that answers is kept.
const (
	NewFields = "fields"
	OldFields = "organizationFields"
)

// FieldModules returns every module that either resource documents, the synced
// ones first (OAS Field.json, FieldOld.json). Custom modules (cm_*) are left
// out.
func FieldModules() []string {
	return []string{"tickets", "products", "contracts", "contacts", "accounts", "tasks", "calls", "events", "timeEntry", "agents"}
}

// fieldMemory remembers which resource answered for a module.
type fieldMemory struct {
	mu       sync.Mutex
	answered map[string]string
	last     string // that answered for any module: a portal has one that works
}

func newFieldMemory() *fieldMemory { return &fieldMemory{answered: map[string]string{}} }

// order returns the resources to ask, the one that answered for the module last
// time first; for a module not asked for yet, the one that answered last.
func (m *fieldMemory) order(module string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.answered[module]
	if known == "" {
		known = m.last
	}
	if known == OldFields {
		return []string{OldFields, NewFields}
	}
	return []string{NewFields, OldFields}
}

func (m *fieldMemory) note(module, resource string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answered[module], m.last = resource, resource
}

// FieldsEndpoint names the resource that answered last for a module, NewFields
// or OldFields, "" when none has yet. Rows of one resource prove nothing about
// rows of the other.
func (c *Client) FieldsEndpoint(module string) string {
	c.fields.mu.Lock()
	defer c.fields.mu.Unlock()
	return c.fields.answered[module]
}

// Fields returns all fields of a module in one page, as records of
// OrganizationFields, and apart the metadata of its custom fields. It asks
// /fields, and /organizationFields when that is refused (any 4xx but 429 and
// 401, whatever its body), and remembers per module which one answered: what the
// retired one says is not documented. Where the retired one answered last, a
// failure that may pass is a reason to ask /fields; the other way round it is
// none, since /organizationFields tells less and would blank the rest.
//
// A module that neither knows is FaultInvalid or FaultNotFound, one that may
// not be read FaultForbidden: the caller skips it and derives no absence.
func (c *Client) Fields(ctx context.Context, p source.Priority, module string) (source.Page, []source.CustomField, error) {
	var failures []error
	for _, resource := range c.fields.order(module) {
		page, err := c.fieldsFrom(ctx, p, resource, module)
		if err == nil {
			c.fields.note(module, resource)
			return page, customFields(page.Records), nil
		}
		if ctx.Err() != nil || source.IsFault(err, source.FaultUnauthorized) || passing(err) && resource == NewFields && len(failures) == 0 {
			return source.Page{}, nil, err
		}
		failures = append(failures, err)
	}
	return source.Page{}, nil, weightier(failures)
}

// passing reports whether a failure may be gone next time: anything but a
// refusal of the resource itself.
func passing(err error) bool {
	var call *source.CallError
	return errors.As(err, &call) && (call.Status < 400 || call.Status >= 500 || call.Status == http.StatusTooManyRequests)
}

func (c *Client) fieldsFrom(ctx context.Context, p source.Priority, resource, module string) (source.Page, error) {
	page := source.Page{Count: -1}
	r, err := c.do(ctx, &call{endpoint: resource, method: "GET", path: resource,
		query: url.Values{"module": {module}}, priority: p, weight: weightOfList(0),
		decode: func(body []byte) (err error) {
			page, err = parsePage(source.Lookup(source.OrganizationFields), module, body)
			return err
		}})
	if err != nil {
		return source.Page{}, err
	}
	page.At, page.Resource = r.at, resource
	return page, nil
}

// weightier picks the error to report: what may pass with time before what a
// person can grant, and that before an unknown module; else the first.
func weightier(failures []error) error {
	for _, fault := range []source.Fault{source.FaultRetry, source.FaultBadReply, source.FaultForbidden} {
		for _, err := range failures {
			if source.IsFault(err, fault) {
				return err
			}
		}
	}
	return failures[0]
}

// customFields picks the custom ones: isCustomField says so in both resources,
// and their API names start with cf_.
func customFields(records []*source.Record) []source.CustomField {
	var custom []source.CustomField
	for _, r := range records {
		name := fieldText(r, "apiName")
		is, known := source.ParseBool(fieldValue(r, "isCustomField"))
		if is || !known && strings.HasPrefix(name, "cf_") {
			custom = append(custom, source.CustomField{APIName: name, Label: fieldText(r, "displayLabel"), Type: fieldText(r, "type")})
		}
	}
	return custom
}

func fieldValue(r *source.Record, name string) string {
	i := slices.IndexFunc(r.Resource.Fields, func(f source.Field) bool { return f.Name == name })
	return r.Value(i)
}

func fieldText(r *source.Record, name string) string {
	text, _ := source.ParseString(fieldValue(r, name))
	return text
}
