package state

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// A stored group is one byte naming its packing, then the bytes.
const (
	packedRaw  = 0
	packedZstd = 1
)

// maxUnpacked bounds what a damaged or hostile message can make a reader allocate. Nothing larger was ever packed: a
// group is refused above the server's message limit, and a limit beyond 64 MiB is more than a server can deliver (nats-server
// const.go, MAX_PENDING_SIZE).
const maxUnpacked = 64 << 20

// codec packs groups. Webhook JSON shrinks three to six times at zstd's fastest level, which is cheaper than syncing the
// rest to disk. The small window keeps the encoders' memory down. Safe for concurrent use.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2),
		zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("make compressor: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("make decompressor: %w", err)
	}
	return &codec{enc: enc, dec: dec}, nil
}

// pack never makes a group more than one byte longer.
func (c *codec) pack(group []byte) []byte {
	packed := c.enc.EncodeAll(group, append(make([]byte, 0, len(group)/2+64), packedZstd))
	if len(packed) <= len(group) {
		return packed
	}
	return append([]byte{packedRaw}, group...)
}

// unpack returns bytes that the caller owns, or ErrCorrupt.
func (c *codec) unpack(stored []byte) ([]byte, error) {
	if len(stored) == 0 {
		return nil, fmt.Errorf("unpack group: %w: empty", ErrCorrupt)
	}
	switch stored[0] {
	case packedRaw:
		return stored[1:], nil
	case packedZstd:
		group, err := c.dec.DecodeAll(stored[1:], nil)
		if err != nil {
			return nil, fmt.Errorf("unpack group: %w: %w", ErrCorrupt, err)
		}
		return group, nil
	}
	return nil, fmt.Errorf("unpack group: %w: unknown packing %d", ErrCorrupt, stored[0])
}

func (c *codec) close() {
	c.dec.Close()
	_ = c.enc.Close() // nothing was streamed, so there is nothing to flush
}
