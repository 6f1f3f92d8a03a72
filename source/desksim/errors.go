package desksim

import (
	"fmt"
	"net/http"
)

// apiError is a refusal in Zoho's shape (OAS Common.json, errorJson and errorDetailArr).
type apiError struct {
	status        int
	code, message string
	details       []errorDetail
	extra         string // more members, raw JSON with a leading comma
	header        [2]string
}

type errorDetail struct{ field, kind, message string }

func (e *apiError) Error() string { return fmt.Sprintf("%d %s", e.status, e.code) }

func (e *apiError) body() []byte {
	o := openObject(nil)
	o.plain("errorCode", e.code)
	o.text("message", e.message)
	if len(e.details) > 0 {
		o.key("errors")
		o.b = append(o.b, '[')
		for i, d := range e.details {
			if i > 0 {
				o.b = append(o.b, ',')
			}
			n := openObject(o.b)
			n.text("fieldName", d.field)
			n.plain("errorType", d.kind)
			n.text("errorMessage", d.message)
			o.b = n.close()
		}
		o.b = append(o.b, ']')
	}
	o.b = append(o.b, e.extra...)
	return o.close()
}

// The messages are those of OAS Common.json where it has one.
var (
	errNotFound    = &apiError{status: http.StatusNotFound, code: "URL_NOT_FOUND", message: "The URL you requested could not be found."}
	errMethod      = &apiError{status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED", message: "The request method is not allowed for this URL."}
	errNoToken     = &apiError{status: http.StatusUnauthorized, code: "UNAUTHORIZED", message: "You are not authorized to perform this operation."}
	errBadToken    = &apiError{status: http.StatusUnauthorized, code: "INVALID_OAUTH", message: "The OAuth Token you provided is invalid."}
	errScope       = &apiError{status: http.StatusForbidden, code: "SCOPE_MISMATCH", message: "The given OAuth token does not have the scope to perform this operation."}
	errOrgMismatch = &apiError{status: http.StatusForbidden, code: "OAUTH_ORG_MISMATCH", message: "The OAuth token does not belong to this organization."}
	errForbidden   = &apiError{status: http.StatusForbidden, code: "FORBIDDEN", message: "You are not authorized to access this resource."}
	errInternal    = &apiError{status: http.StatusInternalServerError, code: "INTERNAL_SERVER_ERROR", message: "An internal server error occurred while performing this operation."}
	errTooMany     = &apiError{status: http.StatusTooManyRequests, code: "TOO_MANY_REQUESTS", message: "Too many requests are being processed at the same time."}
	errMediaType   = &apiError{status: http.StatusUnsupportedMediaType, code: "UNSUPPORTED_MEDIA_TYPE", message: "The media type of the request is not supported."}
	errEmpty       = &apiError{status: http.StatusUnprocessableEntity, code: "EMPTY_PAYLOAD", message: "The payload is empty."}
)

// errUnseen refuses a GET by id of what the agent may not see (Config.HiddenIs404).
func (p *Portal) errUnseen() *apiError {
	if p.cfg.HiddenIs404 {
		return errNotFound
	}
	return errForbidden
}

func errThreshold(retryAfter int64) *apiError {
	return &apiError{status: http.StatusTooManyRequests, code: "THRESHOLD_EXCEEDED", message: "The API credits of the day are spent.",
		header: [2]string{"Retry-After", fmt.Sprint(retryAfter)}}
}

// errQuery is a query parameter with a value that is not allowed (text of OAS Common.json).
func errQuery(name string) *apiError {
	return &apiError{status: http.StatusUnprocessableEntity, code: "UNPROCESSABLE_ENTITY", message: "The value passed for the '" + name + "' query parameter is invalid."}
}

// errExtraQuery is a parameter the endpoint does not know (text from a live portal).
func errExtraQuery(name string) *apiError {
	return &apiError{status: http.StatusUnprocessableEntity, code: "UNPROCESSABLE_ENTITY", message: "Extra query parameter '" + name + "' is present."}
}

func errMissingQuery(name string) *apiError {
	return &apiError{status: http.StatusUnprocessableEntity, code: "UNPROCESSABLE_ENTITY", message: "The query parameter '" + name + "' is missing."}
}

// errData is a body that breaks the rules at one place, a JSON pointer (OAS Common.json, invalidDataErrorResponse).
func errData(pointer, kind string) *apiError {
	return &apiError{status: http.StatusUnprocessableEntity, code: "INVALID_DATA", message: "The data does not comply to the validation restrictions defined.",
		details: []errorDetail{{pointer, kind, "The value is " + kind + "."}}}
}

// errLicense is a feature the edition lacks (OAS Common.json, licenseErrorResponse).
func errLicense(e Edition, feature string, allowed int) *apiError {
	return &apiError{status: http.StatusForbidden, code: "LICENSE_ACCESS_LIMITED", message: "Your Zoho Desk Edition does not support this feature/operation.",
		extra: fmt.Sprintf(`,"maxAllowedEntity":"%d","feature":%q,"editionType":%q,"isTrial":false`, allowed, feature, string(e))}
}
