package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"deskhouse/source/zohodesk"
	"deskhouse/state"
)

// spendings is state as zohodesk.SpendingStore: one key a connection, not
// sealed, because nothing of it is secret.
type spendings struct {
	store *state.Store
	name  string
}

var _ zohodesk.SpendingStore = spendings{}

func (s spendings) key() string { return "credit." + s.name }

func (s spendings) LoadSpending(ctx context.Context) (zohodesk.Spending, bool, error) {
	var spent zohodesk.Spending
	e, err := s.store.Get(ctx, s.key())
	if errors.Is(err, state.ErrNotFound) {
		return spent, false, nil
	}
	if err != nil {
		return spent, false, err
	}
	if err := json.Unmarshal(e.Value, &spent); err != nil {
		return spent, false, fmt.Errorf("stored credits of connection %s cannot be read: %w", s.name, err)
	}
	return spent, true, nil
}

func (s spendings) SaveSpending(ctx context.Context, spent zohodesk.Spending) error {
	value, err := json.Marshal(spent)
	if err != nil {
		return fmt.Errorf("credits of connection %s: %w", s.name, err)
	}
	_, err = s.store.Set(ctx, s.key(), value)
	return err
}

// flushFor is how long the last word about credits may take while everything
// closes.
const flushFor = 2 * time.Second

// flushSpending stores what each connection spent since it was last stored.
// The state is still open. A failure costs a little knowledge, not the command.
func (c *core) flushSpending() {
	ctx, cancel := context.WithTimeout(context.Background(), flushFor)
	defer cancel()
	for name, conn := range c.conns {
		if err := conn.client.Flush(ctx); err != nil {
			c.log.Warn().Err(err).Str("connection", name).Msg("credits spent last cannot be stored")
		}
	}
}
