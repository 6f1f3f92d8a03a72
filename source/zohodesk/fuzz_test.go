package zohodesk

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"deskhouse/source"
)

// Whatever a host answers, it is read or refused with a fault, and what is
// refused is not quoted.
func FuzzReplies(f *testing.F) {
	for _, seed := range []string{onePage, hookReply, `{"data":[` + hookReply + `]}`, granted("abc", 3600), `{"count":"3"}`, `{"data":[{"id":1,"deletedTime":""}]}`,
		`{"errorCode":"INVALID_DATA","errors":[{"fieldName":"/limit"}]}`, `{"error":"Access Denied","status":"failure"}`, `<html>`, ``, `{"data":[`, `null`, `{"data":null}`} {
		f.Add(422, []byte(seed))
		f.Add(200, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		_, _, e1 := parseBin(body)
		_, e2 := parseWebhooks(body)
		_, _, e3 := parseWebhook(body)
		_, e4 := parseOrganizations(body)
		_, e5 := parseCount(body)
		for _, err := range []error{e1, e2, e3, e4, e5} {
			if err != nil && len(body) > 8 && strings.Contains(err.Error(), string(body)) {
				t.Errorf("the error quotes the reply: %v", err)
			}
		}
		if tok, err := testCredentials().judge(forRefresh, status, body, time.Unix(0, 0)); (err == nil) != (tok.access != "") {
			t.Errorf("access token %q with error %v", tok.access, err)
		}
		call, v := classify("GET x", reply{status: status, header: http.Header{}, body: body})
		if call.Fault != v.fault || len(call.Error()) > 4000 {
			t.Errorf("fault %d, verdict %d, %d bytes of message", call.Fault, v.fault, len(call.Error()))
		}
		if call.Fault == source.FaultNotFound && (status != 404 || call.Code != "URL_NOT_FOUND") {
			t.Errorf("%d %q is taken for a deleted record", status, body)
		}
		if bad := unreadable("GET x", reply{status: 200, body: body}, errors.New("x")); bad.Fault == source.FaultRetry && isJSON(body) {
			t.Errorf("JSON is taken for a cut reply: %q", body)
		}
	})
}
