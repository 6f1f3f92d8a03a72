package pipeline

import (
	"context"

	"deskhouse/source"
)

// letter keeps what cannot be decoded or placed, and says so.
func (d deps) letter(ctx context.Context, reason string, raw []byte) error {
	d.log.Warn().Str("reason", reason).Int("bytes", len(raw)).Msg("kept as a dead letter")
	d.metrics.deadLetter()
	return d.dead.DeadLetter(ctx, reason, raw)
}

// badRows keeps the rows of a page that have no usable id.
func (d deps) badRows(ctx context.Context, t source.Table, page source.Page) error {
	for _, raw := range page.Bad {
		if err := d.letter(ctx, string(t)+" row without a usable id", raw); err != nil {
			return err
		}
	}
	return nil
}
