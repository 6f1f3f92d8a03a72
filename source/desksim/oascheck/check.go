package oascheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// CheckRequest tells whether a request is one the files describe: method and path, every query parameter known and its value
// allowed, required ones there (orgId may be a header), a JSON body that fits. All problems are joined; departures are not
// problems. The body is read through GetBody and stays usable.
func (s *Spec) CheckRequest(r *http.Request) error {
	op, _ := s.find(r.Method, r.URL.Path)
	if op == nil {
		if departs(Problem{Method: r.Method, Path: r.URL.Path, Kind: "endpoint"}) {
			return nil
		}
		return Problem{r.Method, r.URL.Path, "endpoint", "", "no such method and path"}
	}
	found := s.checkQuery(op, r)
	found = append(found, s.checkBody(op, r)...)
	return errors.Join(toErrors(op.method, op.path, found)...)
}

func toErrors(method, path string, found []Problem) []error {
	var errs []error
	for _, p := range found {
		p.Method, p.Path = method, path
		if !departs(p) {
			errs = append(errs, p)
		}
	}
	return errs
}

func (s *Spec) checkQuery(op *operation, r *http.Request) []Problem {
	var found []Problem
	query := r.URL.Query()
	for name, values := range query {
		p, ok := op.params[name]
		if !ok {
			found = append(found, Problem{Kind: "parameter", At: name, Detail: "not a parameter of this call"})
			continue
		}
		for _, v := range values {
			found = append(found, s.checkValue(p.schema, name, v)...)
		}
	}
	for name, p := range op.params {
		if p.required && !query.Has(name) && !(name == "orgId" && r.Header.Get("orgId") != "") {
			found = append(found, Problem{Kind: "missing", At: name, Detail: "a required parameter"})
		}
	}
	return found
}

// checkValue splits lists at commas and drops the "-" that sortBy may have: the files describe the single name.
func (s *Spec) checkValue(schema node, name, v string) []Problem {
	schema, err := s.resolve(schema)
	if err != nil {
		return []Problem{{Kind: "schema", At: name, Detail: err.Error()}}
	}
	if name == "sortBy" {
		v = strings.TrimPrefix(v, "-")
	}
	if item := asMap(schema.v["items"]); item != nil {
		var found []Problem
		for part := range strings.SplitSeq(v, ",") {
			found = append(found, s.check([]node{{schema.file, item}}, part, name)...)
		}
		return found
	}
	if typeFits(schema.v["type"], true) {
		if _, err := strconv.ParseBool(v); err != nil {
			return []Problem{{Kind: "value", At: name, Detail: "no boolean"}}
		}
		return nil
	}
	return s.check([]node{schema}, v, name)
}

func (s *Spec) checkBody(op *operation, r *http.Request) []Problem {
	body := asMap(op.at.v["requestBody"])
	if body == nil {
		return nil
	}
	if r.GetBody == nil {
		return []Problem{{Kind: "missing", At: "/", Detail: "no body that can be read again"}}
	}
	reader, err := r.GetBody()
	if err != nil {
		return []Problem{{Kind: "value", At: "/", Detail: err.Error()}}
	}
	raw, err := io.ReadAll(reader)
	if err != nil {
		return []Problem{{Kind: "value", At: "/", Detail: err.Error()}}
	}
	return s.checkContent(node{op.at.file, body}, raw)
}

// CheckReply tells whether a reply is one the files describe for the request. Error statuses that are common to all calls are
// held against Common.json's error body. Departures are left out.
func (s *Spec) CheckReply(r *http.Request, status int, body []byte) []error {
	op, known := s.find(r.Method, r.URL.Path)
	if status >= 400 {
		if op == nil {
			return toErrors(r.Method, r.URL.Path, s.checkError(body))
		}
		return toErrors(op.method, op.path, s.checkError(body))
	}
	if op == nil {
		return toErrors(r.Method, r.URL.Path, []Problem{{Kind: "endpoint", Detail: fmt.Sprintf("no such method and path (path known: %v)", known)}})
	}
	replies := asMap(op.at.v["responses"])
	reply := asMap(replies[strconv.Itoa(status)])
	if reply == nil {
		return toErrors(op.method, op.path, []Problem{{Kind: "status", At: strconv.Itoa(status), Detail: "not listed"}})
	}
	return toErrors(op.method, op.path, s.checkContent(node{op.at.file, reply}, body))
}

// commonErrors are the statuses with an error body; every call may answer with them.
func (s *Spec) checkError(body []byte) []Problem {
	common := asMap(asMap(asMap(s.files["Common.json"]["components"])["schemas"])["errorJson"])
	v, err := decode(body)
	if err != nil || common == nil {
		return []Problem{{Kind: "value", At: "/", Detail: fmt.Sprintf("error body: %v", err)}}
	}
	return s.check([]node{{"Common.json", common}}, v, "")
}

// checkContent holds a body against the JSON content of a request body or a response; without content it must be empty.
func (s *Spec) checkContent(n node, body []byte) []Problem {
	n, err := s.resolve(n)
	if err != nil {
		return []Problem{{Kind: "schema", At: "/", Detail: err.Error()}}
	}
	content := asMap(asMap(n.v["content"])["application/json"])
	switch {
	case content == nil && len(body) == 0:
		return nil
	case content == nil:
		return []Problem{{Kind: "value", At: "/", Detail: "a body where there is none"}}
	}
	v, err := decode(body)
	if err != nil {
		return []Problem{{Kind: "value", At: "/", Detail: err.Error()}}
	}
	return unique(s.check([]node{{n.file, asMap(content["schema"])}}, v, ""))
}

func unique(found []Problem) []Problem {
	var out []Problem
	for _, p := range found {
		if !slices.ContainsFunc(out, func(o Problem) bool { return o.Kind == p.Kind && o.At == p.At }) {
			out = append(out, p)
		}
	}
	return out
}

func decode(body []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	return v, nil
}
