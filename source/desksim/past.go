package desksim

// past is what is known of a record's history; the zero value is a record that was there from the start and never changed.
type past[T any] struct {
	before        *T    // the content before the last change, one step only; what a stale replica answers
	born, changed int64 // unix ms of creation and of the last change
}

// seen is what a replica knows of a record: the content before the last change if the replica is stale and the change
// young enough (Config.StaleWithin).
func seen[T any](p *Portal, r *T, h past[T], stale bool) *T {
	if !stale || h.before == nil {
		return r
	}
	if within := p.cfg.StaleWithin; within > 0 && p.Now().UnixMilli()-h.changed > within.Milliseconds() {
		return r
	}
	return h.before
}

// follow gives a changed record the past that comes from its old version; old is nil for a new one.
func follow[T any](p *Portal, old *T, h past[T]) past[T] {
	now := p.Now().UnixMilli()
	if old == nil {
		return past[T]{born: now, changed: now}
	}
	return past[T]{before: old, born: h.born, changed: now}
}
