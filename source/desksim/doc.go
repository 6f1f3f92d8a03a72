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
// # Knobs
//
// What can be set, beside the limits and shapes in Config; each has a test of its own.
//
//	what                                                    where
//	which event tells of a deletion, or none                Config.DeleteMode, QuietRemovals
//	an update with the live content after the deletion      WebhookFaults.TrailingUpdate
//	payload as of the event or of the delivery              Config.PayloadAtEvent
//	eventTime in s, ms, µs, in the future                   Config.EventTime, EventAhead
//	lost, doubled, delayed, reordered, partial events       WebhookFaults
//	two changes in one second                               Weights.TwinUpdate
//	changes without event or modifiedTime                   Weights.SilentUpdate, SilentProduct, SilentContract, DetailUpdate
//	new names of joined objects                             Weights.RenameContact, RenameAccount, RenameAgent, RenameTeam, …
//	restore (never an event), with or without modifiedTime  Config.TrashTouches
//	trashed, merged and hidden records by id                Config.TrashedIs404, MergedAnswers, HiddenIs404
//	spam and archived tickets in or out of search           Config.HideSpam, ArchivedInSearch
//	search behind the records, some rows far behind         Config.SearchLag, SlowRows, SlowLag
//	GET by id is 404 after creation                         Config.CreateLag
//	replicas that lack each record's last change            FaultStale, FaultStaleList, Config.StaleWithin
//	a reply overtaken by what comes after its reading       Faults.HoldBack
//	changes between two pages of a reading                  Faults.OnCall
//	Date: which moment, wrong clock, jitter                 Config.Date, DateSkew, DateJitter
//	ends of time ranges                                     Config.Ends
//	order of rows with equal sort keys                      Config.UnstableTies
//	thousands of equal createdTimes                         Config.Burst
//	depth and first row of lists and search                 Config.ListDepth, ListBase, SearchDepth
//	`fields` refused                                        Config.RefuseListFields, RefuseContractFields, RefuseProductFields
//	field resources that are gone, or give other ids        Config.Fields, OtherFieldIDs
//	departments, keys, scopes, modules the agent loses      Faults.HideDepartment, HideField, RefuseScope, RefuseLicense
//	departments, fields, binned records that are removed    Weights.RemoveDepartment, RemoveField, PurgeProduct, PurgeContract
//	429, 5xx, HTML, cut bodies, hanging calls, dead tokens  Faults.Rate, Next, NextOn
//	tokens of seconds, no limit on token requests           Config.TokenLife, NoTokenThrottle
//	a client that other data centres do not know            Config.AccountsHost
//
// Keys that only lists or only GET carry are not a knob: the projections of OAS differ that way, and so do these.
//
// # Truth
//
// Truth is what the portal itself holds, Digest which records differ between two moments, Changes what Mutate has made.
//
// Everything follows from Config.Seed, given the same sequence of calls, except the RSA key that signs deliveries, which
// is made once per process. All exported methods are safe for concurrent use. All times are UTC; what Zoho stores has
// whole seconds.
package desksim
