package clickhouse

import (
	"context"
	"errors"

	"deskhouse/source"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// stream writes blocks into one table: one is filled while the one before is
// on its way. Whoever makes a stream closes it; close waits for the server.
type stream struct {
	w       *Warehouse
	layout  *layout
	reg     source.Register
	name    string // of the table
	filling *block
	sent    chan error // of the block on its way, nil without
}

func (w *Warehouse) stream(l *layout, reg source.Register, name string) *stream {
	return &stream{w: w, layout: l, reg: reg, name: name, filling: w.blocks.take(l, reg, w.cfg.OrgID)}
}

// next is called after a row was added; it sends a full block.
func (s *stream) next(ctx context.Context) error {
	if !s.filling.full() {
		return nil
	}
	if err := s.wait(); err != nil {
		return err
	}
	b, sent := s.filling, make(chan error, 1)
	go func() {
		err := s.w.sendBlock(ctx, s.name, b)
		s.w.blocks.give(b)
		sent <- err
	}()
	s.sent, s.filling = sent, s.w.blocks.take(s.layout, s.reg, s.w.cfg.OrgID)
	return nil
}

func (s *stream) wait() error {
	if s.sent == nil {
		return nil
	}
	err := <-s.sent
	s.sent = nil
	return err
}

// close sends what is left, unless err says that it is over, and waits.
func (s *stream) close(ctx context.Context, err error) error {
	err = errors.Join(err, s.wait())
	if err == nil {
		err = s.w.sendBlock(ctx, s.name, s.filling)
	}
	s.w.blocks.give(s.filling)
	return err
}

// sendBlock inserts one block and counts what it could not place; a shadow's
// rows have been counted with the main table's.
func (w *Warehouse) sendBlock(ctx context.Context, name string, b *block) error {
	if b.rows() == 0 {
		return nil
	}
	err := w.insert(ctx, name, b.columns(), b.token(), func(batch chdriver.Batch) error { return b.send(batch) })
	if err == nil && name == tableOf(b.layout.res.Table, b.reg) {
		w.unplaced.add(b.layout.res.Table, b.extra.count)
	}
	return err
}
