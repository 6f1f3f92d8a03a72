package desksim

import (
	"net/http"
	"time"

	"github.com/jonboulle/clockwork"
)

// DeleteMode says which webhook tells of a deleted ticket. What Zoho really sends is not documented.
type DeleteMode int

const (
	DeleteEvent       DeleteMode = iota // Ticket_Delete, payload {"id":…}
	UpdateIsDelTrue                     // Ticket_Update whose payload has "IsDel": true
	UpdateIsDelString                   // Ticket_Update whose payload has "IsDel": "true"
	UpdateIsDelOne                      // Ticket_Update whose payload has "IsDel": 1
	DeleteBoth                          // Ticket_Update with isTrashed true, then Ticket_Delete
	DeleteNone                          // nothing
)

// Edition is the portal's edition; it sets credits, concurrency and the number of webhooks (CREDITS, WEBHOOKDOC).
type Edition string

const (
	Free         Edition = "FREE"
	Express      Edition = "EXPRESS"
	Standard     Edition = "STANDARD"
	Professional Edition = "PROFESSIONAL"
	Enterprise   Edition = "ENTERPRISE"
	Ultimate     Edition = "ULTIMATE"
)

// FieldEndpoints says which of the two field resources answers. The older one is deprecated since 2026-07-01
// (OAS FieldOld.json); what it answers afterwards is not documented.
type FieldEndpoints int

const (
	BothFields FieldEndpoints = iota // /fields and /organizationFields
	NewFields                        // /fields only, the other is 404
	OldFields                        // /organizationFields only, the other is 404
)

// Config describes a portal. The zero value is usable: each field names its default.
type Config struct {
	Seed  int64
	OrgID uint64 // default 60000000001

	// Rows at creation. A negative number means none. ArchivedTickets come on top of Tickets and are the oldest.
	Tickets         int // default 1,000
	Departments     int // default 5; at least 1
	Products        int // default 40
	Contracts       int // default 25
	ArchivedTickets int // default 0
	Burst           int // tickets of Tickets that an import created within one second; default 0

	// Start is the portal's "now" at creation; creation times are spread over the three years before. Default Clock.Now().
	Start time.Time
	Clock clockwork.Clock // default the real clock

	ClientID     string   // default "1000.SIMULATEDCLIENT"
	ClientSecret string   // default "simulated-secret"
	RefreshToken string   // default "1000.simulated.refresh"; never expires until revoked
	Scopes       []string // scopes of RefreshToken; default DefaultScopes
	// ScopesAnyOf reads the scopes an endpoint names as alternatives. Default: all are needed, as OAS formally says.
	ScopesAnyOf bool

	Edition       Edition        // default Enterprise
	Users         int            // paid users, for the credits of a day; default 10
	CreditsPerDay int            // default by Edition and Users (CREDITS); negative: unlimited
	Concurrency   int            // calls in flight; default by Edition (CREDITS); negative: unlimited
	TimeZone      *time.Location // credits reset at midnight here; default UTC

	TokenLife           time.Duration // access token; default 1 h
	LiveTokens          int           // access tokens alive per refresh token, the oldest dropped; default 10 (sources: 10, 15, 30)
	TokenThrottleStatus int           // HTTP status of the throttle body; default 200 (sources: 200, 400)
	NoTokenThrottle     bool          // any number of token requests and codes; default 10 in 10 minutes (OAUTH limits)
	AccountsHost        string        // the only host at which the client is known; default any

	DeleteMode DeleteMode
	// QuietRemovals keeps purge of live rows, spam deletion and merge without any event. Default: they are told like a trash.
	QuietRemovals bool
	// TrashTouches moves modifiedTime on trash and restore. Default: it does not (not documented).
	TrashTouches bool
	// TrashedIs404 answers GET of a trashed ticket with 404. Default: the ticket with isTrashed true.
	TrashedIs404 bool
	// MergedAnswers answers GET of a merged ticket with the surviving one. Default: 404.
	MergedAnswers bool
	// HiddenIs404 answers GET by id of what the agent may not see (Faults.HideDepartment) with 404. Default: 403.
	HiddenIs404 bool

	SearchDepth      int           // deepest `from` of a search; default 999 (OAS; HTML docs say 4999)
	SearchLag        time.Duration // age a change has before search and counts see it; default 0; Faults can change it
	SlowRows         float64       // share of changes that search and counts see even later; default 0; Faults can change it
	SlowLag          time.Duration // the longest delay of those, each draws its own; default 1 h
	CreateLag        time.Duration // GET by id is 404 for so long after creation at most, each record draws its own; default 0; Faults can change it
	StaleWithin      time.Duration // age of the changes a stale replica lacks (FaultStale, FaultStaleList); default any
	UnstableTies     bool          // rows with an equal sort key come in another order at each request; default by ascending id
	Ends             RangeEnds     // of the time ranges of search and counts; default both ends belong to them
	ArchivedInSearch bool          // search returns archived tickets; default no
	HideSpam         bool          // list and search leave out spam; default no

	ListLimit            int  // largest `limit` of the ticket list; default 100 (sources: 50, 99, 100)
	ListDepth            int  // deepest `from` of the ticket lists; default 4999
	ListBase             int  // the `from` of the first row of the ticket lists, 0 or 1; default 0 (OAS; live clients count from 1)
	RefuseListFields     bool // the ticket list refuses `fields` with 422; default it is accepted
	ListSortModified     bool // the ticket list accepts sortBy=modifiedTime; default no (OAS)
	RefuseContractFields bool // the contract list refuses `fields` with 422; default it is accepted
	RefuseProductFields  bool // the same for products
	SupportPlans         bool // contracts carry support plans (OAS Contract.json, first list variant); default no
	Fields               FieldEndpoints
	OtherFieldIDs        bool // /organizationFields gives its fields other ids than /fields; default the same

	Date       DateMode      // the moment the Date header names; default the call's arrival
	DateSkew   time.Duration // the Date header is ahead of the portal's clock by this; default 0; Faults can change it
	DateJitter time.Duration // and each one by up to this more or less; default 0

	PayloadAtEvent  bool              // webhook payload rendered when the event happens; default when it is delivered
	EventTime       EventTimes        // unit and error of eventTime; default milliseconds
	EventAhead      time.Duration     // of EventFuture; default 1 h
	EventsPerPost   int               // events in one delivery; default 1 (captures; WEBHOOKDOC allows more)
	Deliver         http.RoundTripper // carries deliveries and url validation; default http.DefaultTransport
	DeliveryTimeout time.Duration     // default 5 s (WEBHOOKDOC, newer copy)
	TokenMillis     bool              // a delivery's token tells its times in milliseconds; default seconds (WEBHOOKDOC says both)
	DeliveryLog     int               // deliveries kept for Stats; default 1,000
	PublicURL       string            // scheme and host written into webUrl, photoURL and the like; default https://desk.zoho.com

	Weights Weights // of Mutate; default DefaultWeights
}

// DefaultScopes is the set of scopes that every endpoint of this package is content with.
var DefaultScopes = []string{
	"Desk.tickets.READ", "Desk.search.READ", "Desk.basic.READ", "Desk.settings.READ", "Desk.products.READ",
	"Desk.contracts.READ", "Desk.fields.READ", "Desk.events.ALL",
}

func (c Config) withDefaults() Config {
	def(&c.OrgID, 60_000_000_001)
	rows(&c.Tickets, 1000)
	rows(&c.Departments, 5)
	c.Departments = max(c.Departments, 1)
	rows(&c.Products, 40)
	rows(&c.Contracts, 25)
	rows(&c.ArchivedTickets, 0)
	if c.Clock == nil {
		c.Clock = clockwork.NewRealClock()
	}
	if c.Start.IsZero() {
		c.Start = c.Clock.Now()
	}
	c.Start = c.Start.UTC().Truncate(time.Second)
	def(&c.ClientID, "1000.SIMULATEDCLIENT")
	def(&c.ClientSecret, "simulated-secret")
	def(&c.RefreshToken, "1000.simulated.refresh")
	if c.Scopes == nil {
		c.Scopes = DefaultScopes
	}
	def(&c.Edition, Enterprise)
	def(&c.Users, 10)
	def(&c.CreditsPerDay, creditsPerDay(c.Edition, c.Users))
	def(&c.Concurrency, callsInFlight(c.Edition))
	if c.TimeZone == nil {
		c.TimeZone = time.UTC
	}
	def(&c.TokenLife, time.Hour)
	def(&c.LiveTokens, 10)
	def(&c.TokenThrottleStatus, http.StatusOK)
	def(&c.SearchDepth, 999)
	def(&c.ListLimit, 100)
	def(&c.ListDepth, 4999)
	def(&c.SlowLag, time.Hour)
	def(&c.EventAhead, time.Hour)
	def(&c.EventsPerPost, 1)
	if c.Deliver == nil {
		c.Deliver = http.DefaultTransport
	}
	def(&c.DeliveryTimeout, 5*time.Second)
	def(&c.DeliveryLog, 1000)
	def(&c.PublicURL, "https://desk.zoho.com")
	def(&c.Weights, DefaultWeights)
	return c
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// rows applies a default number of rows; negative means none.
func rows(v *int, d int) {
	def(v, d)
	*v = max(*v, 0)
}
