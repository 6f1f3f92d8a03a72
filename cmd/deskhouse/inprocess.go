package main

import (
	"bytes"
	"io"
	"net/http"
)

// inProcess carries requests to a handler of this process, for commands that
// work by themselves: nobody else may ask a process that is about to end.
type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	reply := &memoryReply{header: http.Header{}, code: http.StatusOK}
	t.handler.ServeHTTP(reply, r)
	return &http.Response{StatusCode: reply.code, Status: http.StatusText(reply.code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: reply.header, Body: io.NopCloser(&reply.body), ContentLength: int64(reply.body.Len()), Request: r}, nil
}

// memoryReply is a reply that is kept whole.
type memoryReply struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (m *memoryReply) Header() http.Header         { return m.header }
func (m *memoryReply) WriteHeader(code int)        { m.code = code }
func (m *memoryReply) Write(p []byte) (int, error) { return m.body.Write(p) }
