// Package desksim is a simulator of Zoho Desk: its REST API (v1), its OAuth endpoints and its webhooks, with a portal
// behind them that can be changed, a set of faults that can be switched on, and the truth to compare a copy with.
//
// It is written from Zoho's published descriptions and is as strict as they are: an unknown query parameter, a limit out
// of range or a token without the scope is refused the way Zoho refuses it. Sources are named in the comments by these
// labels: OAS (Zoho's OpenAPI files, by file name), APIDOC (desk.zoho.com/DeskAPIDocument), WEBHOOKDOC (Zoho's webhook
// page), CREDITS (help article on API credits), OAUTH (Zoho's OAuth pages). "Captures" are replies of live portals
// published by others. Where the sources disagree or are silent, Config has a switch, and the default is named there.
//
// The package owns the portal's data and the wire. It knows nothing of the program that reads it and imports none of its
// packages. Rows are generated from (seed, number) when they are rendered; only changed rows are stored, so that a
// portal of a million tickets fits in a few hundred megabytes.
//
// Everything follows from Config.Seed, given the same sequence of calls, except the RSA key that signs deliveries, which
// is made once per process. All exported methods are safe for concurrent use. All times are UTC; what Zoho stores has
// whole seconds.
package desksim
