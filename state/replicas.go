package state

import (
	"context"
	"fmt"
	"strings"
)

// Replicas returns the fewest copies that an external cluster keeps of any of this state's streams, and the name of that
// stream; 0 for the embedded server. With fewer than three, what was acknowledged lives as long as one server's disk.
func (s *Store) Replicas(ctx context.Context) (fewest int, stream string, err error) {
	if s.server != nil {
		return 0, "", nil
	}
	err = s.guard(ctx, func(ctx context.Context) error {
		streams := s.js.ListStreams(ctx)
		for info := range streams.Info() {
			if n := max(info.Config.Replicas, 1); isOurs(info.Config.Name) && (stream == "" || n < fewest) {
				fewest, stream = n, info.Config.Name
			}
		}
		return streams.Err()
	})
	if err != nil {
		return 0, "", fmt.Errorf("ask for the replicas of the streams: %w", err)
	}
	return fewest, stream, nil
}

// isOurs tells this package's streams from others of the same account, as far as a name can.
func isOurs(stream string) bool {
	return stream == "KV_"+bucketName || strings.HasPrefix(stream, "EV_") || strings.HasPrefix(stream, "DL_")
}
