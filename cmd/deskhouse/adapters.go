package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"deskhouse/pipeline"
	"deskhouse/state"
)

// The adapters fit package state to the small interfaces that its users
// declare. They hold no logic beyond that.

// keyValues is state as pipeline.KV.
type keyValues struct{ store *state.Store }

var _ pipeline.KV = keyValues{}

func (s keyValues) Load(ctx context.Context, key string) ([]byte, error) {
	e, err := s.store.Get(ctx, key)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	return e.Value, err
}

func (s keyValues) Save(ctx context.Context, key string, value []byte) error {
	_, err := s.store.Set(ctx, key, value)
	return err
}

func (s keyValues) Delete(ctx context.Context, key string) error { return s.store.Delete(ctx, key) }

func (s keyValues) List(ctx context.Context, prefix string) (map[string][]byte, error) {
	entries, err := s.store.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	values := make(map[string][]byte, len(entries))
	for _, e := range entries {
		values[e.Key] = e.Value
	}
	return values, nil
}

// eventLog is a state log as pipeline.EventLog.
type eventLog struct{ log *state.Log }

var _ pipeline.EventLog = eventLog{}

func (l eventLog) Read(ctx context.Context, from uint64) (pipeline.EventReader, error) {
	r, err := l.log.Read(ctx, from)
	if err != nil {
		return nil, err
	}
	return eventReader{r}, nil
}

func (l eventLog) Bounds(ctx context.Context) (first, last uint64, err error) {
	first, last, _, err = l.log.Last(ctx)
	return first, last, err
}

func (l eventLog) Before(ctx context.Context, t time.Time) (uint64, error) {
	return l.log.Before(ctx, t)
}

func (l eventLog) Purge(ctx context.Context, upTo uint64, olderThan time.Time) error {
	old, err := l.log.Before(ctx, olderThan)
	if err != nil {
		return err
	}
	return l.log.Purge(ctx, min(upTo, old))
}

type eventReader struct{ r *state.Reader }

func (r eventReader) Next(ctx context.Context) (pipeline.Message, error) {
	m, err := r.r.Next(ctx)
	if errors.Is(err, state.ErrCorrupt) {
		// A message that cannot be unpacked is handed on as it is not: the
		// applier makes a dead letter of it and goes on.
		return pipeline.Message{Seq: m.Seq}, nil
	}
	return pipeline.Message{Seq: m.Seq, Data: m.Data}, err
}

func (r eventReader) Close() error { return r.r.Close() }

// letters is a state log as the dead letters of intake and pipeline.
type letters struct{ log *state.Log }

// letter is the stored form of a dead letter.
type letter struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Raw    []byte    `json:"raw"`
}

func (l letters) DeadLetter(ctx context.Context, reason string, raw []byte) error {
	value, err := json.Marshal(letter{time.Now().UTC(), reason, raw})
	if err != nil {
		return err
	}
	_, err = l.log.Append(ctx, value)
	return err
}
