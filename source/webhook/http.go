package webhook

import (
	"net/http"
	"time"
)

// HTTPServer returns a server for the public port with limits on what a sender may hold open: 5 s to send headers of at
// most 16 KiB (a token has about 1), 15 s for the whole request, 20 s for everything, 2 minutes of idling. The caller
// listens, serves, and calls Shutdown before it stops Server.Run, so that deliveries in flight are still stored.
func HTTPServer(addr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}
