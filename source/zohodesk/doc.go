// Package zohodesk is the client of Zoho Desk's REST API: it turns calls into
// the change model's pages, records and timings.
//
// It owns everything about talking to Zoho: hosts, headers, OAuth tokens and
// their refresh, the classification of errors, retries, page limits that
// differ by portal, Zoho's clock, and one governor per connection for calls in
// flight and credits. It leaves to its callers what the records mean, in which
// order ranges are read, where progress is kept and how tokens are sealed.
//
// A Client is safe for concurrent use and starts no goroutine of its own.
// Every method that calls Zoho waits for the governor (in-flight limit,
// credits, Retry-After) as long as its context lets it, repeats transient
// failures a few times, and then returns either the context's error or a
// *source.CallError whose Fault says what to do. Nothing is returned of a
// reply that could not be read whole.
//
// Facts about the API cite: OAS (Zoho's OpenAPI files, by name), APIDOC
// (desk.zoho.com/DeskAPIDocument), CREDITS (help article on API credits),
// OAUTH-DC, OAUTH-LIM, OAUTH-REV (Zoho's OAuth pages), WEBHOOKDOC (Zoho's webhook
// page); "captures" are replies of live portals published by others.
package zohodesk
