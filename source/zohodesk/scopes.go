package zohodesk

import (
	"slices"
	"strings"
)

// Scopes are the scopes to ask for, in the order of the documentation: all that
// the calls of this package need. One unknown scope makes Zoho refuse the whole
// consent (captures), so the names that only the newest OAS has
// (Desk.webhooks.*, Desk.departments.READ) are left out in favour of the older
// ones that the same calls accept.
func Scopes() []string {
	return []string{"Desk.tickets.READ", "Desk.search.READ", "Desk.basic.READ", "Desk.settings.READ", "Desk.products.READ",
		"Desk.contracts.READ", "Desk.fields.READ", "Desk.events.ALL"}
}

// splitScopes reads a scope list as Zoho writes it: by spaces in a token reply
// (captures), by commas in a consent.
func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' })
}

// missingScopes lists those of Scopes that the granted ones do not cover. A
// reply without scopes (they are only seen in captures) says nothing: then
// nothing is missing.
func missingScopes(granted []string) []string {
	if len(granted) == 0 {
		return nil
	}
	var missing []string
	for _, want := range Scopes() {
		if !slices.ContainsFunc(granted, func(have string) bool { return covers(have, want) }) {
			missing = append(missing, want)
		}
	}
	return missing
}

// covers compares without regard to case (OAS Common.json writes its catalogue
// in lower case) and takes ALL for every operation.
func covers(have, want string) bool {
	if strings.EqualFold(have, want) {
		return true
	}
	module, _, _ := cutLast(want)
	haveModule, operation, ok := cutLast(have)
	return ok && strings.EqualFold(haveModule, module) && strings.EqualFold(operation, "ALL")
}

func cutLast(scope string) (module, operation string, ok bool) {
	i := strings.LastIndexByte(scope, '.')
	if i < 0 {
		return scope, "", false
	}
	return scope[:i], scope[i+1:], true
}
