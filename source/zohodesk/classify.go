package zohodesk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"deskhouse/source"
)

// throttle says which of Zoho's two limits a reply speaks of.
type throttle uint8

const (
	noThrottle  throttle = iota
	tooMany              // too many calls in flight, no Retry-After
	creditsGone          // the day's credits are spent, with Retry-After
)

// verdict is what one kind of reply means.
type verdict struct {
	fault    source.Fault
	throttle throttle
	refresh  bool // the token was refused: get another one and try once more
	tries    int  // most attempts, 0 = maxTries
	hint     string
}

// exchangeCommand stands in hints in front of a backquote, where a client adds
// the name of its connection.
const exchangeCommand = "deskhouse auth exchange"

// What people should do about a failure.
const (
	hintScope    = "the authorisation lacks a scope for this: authorise again (`" + exchangeCommand + "`) with the scopes that `deskhouse check` lists"
	hintOrg      = "the token belongs to another portal: check org_id, or authorise again (`" + exchangeCommand + "`) and choose the right portal"
	hintProfile  = "the authorising agent's profile does not allow this: change the profile or authorise as another agent"
	hintLicense  = "the portal's edition does not have this feature"
	hintAgent    = "the authorising user is a live-chat user only: authorise as a support agent"
	hintLogin    = "authorise again: `" + exchangeCommand + "`, or put a new refresh_token into the configuration"
	hintFresh    = "is the authorising agent still active, and is desk_url or data_center that of the portal? Otherwise " + hintLogin
	hintServer   = "a wrong org_id or field name is answered like this too"
	hintRedirect = "the host answers with a redirect: check data_center or desk_url"
	hintNotDesk  = "not Zoho Desk but a proxy, a maintenance page or another host answered: if it lasts, check data_center, desk_url and the proxy"
	hintRefused  = "this portal does not take the request as deskhouse makes it: please report it"
)

// verdicts is the one table of Zoho's error replies (OAS Common.json, APIDOC,
// captures). The first row that fits counts; code "" fits any JSON reply. Codes
// that say what to do count whatever status they come with, because the sources
// do not name the statuses of all of them; only a 404 says that an id is gone.
var verdicts = []struct {
	from, to int
	code     string
	verdict
}{
	{400, 499, "INVALID_OAUTH", verdict{fault: source.FaultUnauthorized, refresh: true, hint: hintLogin}},
	{400, 499, "SCOPE_MISMATCH", verdict{fault: source.FaultForbidden, hint: hintScope}},
	{400, 499, "OAUTH_ORG_MISMATCH", verdict{fault: source.FaultUnauthorized, hint: hintOrg}},
	{400, 499, "LICENSE_ACCESS_LIMITED", verdict{fault: source.FaultForbidden, hint: hintLicense}},
	{400, 499, "ONLY_LIVECHAT_USER", verdict{fault: source.FaultForbidden, hint: hintAgent}},
	{400, 599, "THRESHOLD_EXCEEDED", verdict{fault: source.FaultRetry, throttle: creditsGone}},
	{400, 599, "TOO_MANY_REQUESTS", verdict{fault: source.FaultRetry, throttle: tooMany}},
	{400, 599, "DUPLICATE_CONTRACT", verdict{fault: source.FaultInvalid, hint: hintRefused}},
	{400, 599, "INTEGRATION_ADMIN_ERROR", verdict{fault: source.FaultInvalid, hint: hintProfile}},
	{401, 401, "UNAUTHORIZED", verdict{fault: source.FaultUnauthorized, hint: hintLogin}},
	{401, 401, "", verdict{fault: source.FaultUnauthorized, refresh: true, hint: hintLogin}},
	{403, 403, "", verdict{fault: source.FaultForbidden, hint: hintProfile}},
	{404, 404, "URL_NOT_FOUND", verdict{fault: source.FaultNotFound}},
	{429, 429, "", verdict{fault: source.FaultRetry, throttle: tooMany}},
	{408, 408, "", verdict{fault: source.FaultRetry}},
	{425, 425, "", verdict{fault: source.FaultRetry}},
	{500, 500, "INTERNAL_SERVER_ERROR", verdict{fault: source.FaultRetry, tries: 4, hint: hintServer}},
	{500, 599, "", verdict{fault: source.FaultRetry}},
	{300, 399, "", verdict{fault: source.FaultInvalid, hint: hintRedirect}},
	{400, 499, "", verdict{fault: source.FaultInvalid, hint: hintRefused}},
}

func judge(status int, code string) verdict {
	for _, row := range verdicts {
		if row.from <= status && status <= row.to && (row.code == "" || row.code == code) {
			return row.verdict
		}
	}
	return verdict{fault: source.FaultBadReply} // no status of HTTP
}

// errorBody is {"errorCode","message","errors":[…]} (OAS Common.json).
type errorBody struct {
	ErrorCode string `json:"errorCode"`
	Message   string `json:"message"`
	Errors    []struct {
		FieldName string `json:"fieldName"`
		ErrorType string `json:"errorType"`
	} `json:"errors"`
}

// classify turns a reply that is no success into an error. A body that is no
// JSON object never comes from Desk itself: whatever its status, it may be
// gone on the next try. A bare 401 may be a gateway's word about the token.
func classify(op string, r reply) (*source.CallError, verdict) {
	err := &source.CallError{Op: op, Status: r.status, Wait: r.wait}
	if r.status < 300 {
		err.Fault, err.Err = source.FaultBadReply, errors.New("not the answer to this call ("+describe(r)+")")
		return err, verdict{fault: err.Fault}
	}
	var body errorBody
	redirect := r.status >= 300 && r.status <= 399
	if jsonErr := decodeJSON(r.body, &body); jsonErr != nil && !redirect {
		v := verdict{fault: source.FaultRetry, refresh: r.status == http.StatusUnauthorized && len(r.body) == 0}
		if r.status == http.StatusTooManyRequests {
			v.throttle = tooMany
		}
		err.Fault, err.Hint, err.Err = v.fault, hintNotDesk, errors.New("reply is no JSON ("+describe(r)+")")
		return err, v
	}
	v := judge(r.status, body.ErrorCode)
	err.Fault, err.Code, err.Hint = v.fault, clip(body.ErrorCode, 60), v.hint
	err.Detail = clip(body.Message, 300)
	if parameters := body.refused(); len(parameters) > 0 {
		err.Err = &refusal{parameters}
	}
	return err, v
}

// refusal names the parameters that a 422 refused.
type refusal struct{ parameters []string }

func (r *refusal) Error() string { return "refused " + strings.Join(r.parameters, ", ") }

func refusedParameters(err error) map[string]bool {
	var r *refusal
	if !errors.As(err, &r) {
		return nil
	}
	set := map[string]bool{}
	for _, p := range r.parameters {
		set[p] = true
	}
	return set
}

// quotedName finds parameter names in messages like "The value passed for the
// 'from' query parameter is invalid." (OAS Common.json).
var quotedName = regexp.MustCompile(`['"]([A-Za-z_]{2,40})['"]`)

func (b errorBody) refused() []string {
	var names []string
	for _, e := range b.Errors {
		if name := strings.TrimPrefix(e.FieldName, "/"); name != "" {
			names = append(names, clip(name, 60))
		}
	}
	if len(names) > 0 {
		return names
	}
	for _, m := range quotedName.FindAllStringSubmatch(b.Message, 5) {
		names = append(names, m[1])
	}
	return names
}

// unreadable classifies a 200 that its decoder refused. Text that is no JSON
// was cut or replaced on the way and is asked for again; JSON of another shape
// would come back the same.
func unreadable(op string, r reply, cause error) *source.CallError {
	err := &source.CallError{Fault: source.FaultBadReply, Op: op, Status: r.status, Err: cause}
	if errors.Is(cause, errEmptyBody) && r.status == http.StatusOK || len(r.body) > 0 && !isJSON(r.body) {
		err.Fault = source.FaultRetry
		err.Err = fmt.Errorf("%w (%s)", cause, describe(r))
	}
	return err
}

func isJSON(body []byte) bool {
	return jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// decodeJSON reads a small reply; its errors quote nothing of it.
func decodeJSON(body []byte, into any) error {
	if len(body) == 0 {
		return errEmptyBody
	}
	if err := json.Unmarshal(body, into); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Errorf("no JSON at byte %d of %d", syntax.Offset, len(body))
		}
		return fmt.Errorf("JSON of another shape, %d bytes", len(body))
	}
	return nil
}

func describe(r reply) string {
	kind := "text"
	switch trimmed := bytes.TrimLeft(r.body, " \t\r\n\ufeff"); {
	case len(trimmed) == 0:
		kind = "empty"
	case trimmed[0] == '<':
		kind = "HTML"
	case trimmed[0] == '{' || trimmed[0] == '[':
		kind = "cut JSON"
	}
	return fmt.Sprintf("%s, %d bytes", kind, len(r.body))
}

func unsupported(ep endpoint, why string) *source.CallError {
	return &source.CallError{Fault: source.FaultInvalid, Op: "GET " + ep.path, Detail: why}
}

// clip bounds Zoho's own words.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
