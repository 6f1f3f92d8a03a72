package desksim

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// RoundTripper serves requests in the caller's goroutine, without sockets: the host of the URL does not matter. Cut bodies
// and hanging calls look to the caller as they do over a network.
func (p *Portal) RoundTripper() http.RoundTripper { return inProcess{p} }

type inProcess struct{ p *Portal }

var errReset = errors.New("connection reset by the simulated portal")

func (t inProcess) RoundTrip(r *http.Request) (reply *http.Response, err error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	rec := &recorder{header: http.Header{}}
	defer func() {
		v := recover()
		switch {
		case v == nil:
		case v != http.ErrAbortHandler:
			panic(v)
		case rec.status != 0:
			reply, err = rec.response(r), nil
		case r.Context().Err() != nil:
			err = r.Context().Err()
		default:
			err = errReset
		}
	}()
	t.p.serve(rec, r.Clone(r.Context()))
	return rec.response(r), nil
}

// recorder is the http.ResponseWriter behind inProcess.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *recorder) response(r *http.Request) *http.Response {
	length, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64)
	if err != nil {
		length = int64(w.body.Len())
	}
	var body io.Reader = bytes.NewReader(w.body.Bytes())
	if length > int64(w.body.Len()) {
		body = io.MultiReader(body, cutReader{})
	}
	return &http.Response{Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(body), ContentLength: length, Request: r}
}

type cutReader struct{}

func (cutReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
