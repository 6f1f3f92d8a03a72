package zohodesk

import (
	"slices"

	"deskhouse/source"
)

// waiter is a call that waits for its pass.
type waiter struct {
	priority source.Priority
	weight   int64
	ready    chan *pass // of size 1
}

// queue holds the waiters, first come first served within a priority.
type queue struct {
	lines [source.ForHydration + 1][]*waiter
}

func (q *queue) push(w *waiter) {
	w.priority = min(w.priority, source.ForHydration)
	q.lines[w.priority] = append(q.lines[w.priority], w)
}

func (q *queue) remove(w *waiter) {
	line := q.lines[w.priority]
	if i := slices.Index(line, w); i >= 0 {
		q.lines[w.priority] = slices.Delete(line, i, i+1)
	}
}

func (q *queue) empty() bool { return !q.urgent() && len(q.lines[source.ForHydration]) == 0 }

// urgent reports whether anything but hydration waits.
func (q *queue) urgent() bool {
	for _, line := range q.lines[:source.ForHydration] {
		if len(line) > 0 {
			return true
		}
	}
	return false
}

// take removes and returns the waiter whose turn it is among those that may
// go, nil when none may.
func (q *queue) take(turn int64, may func(source.Priority, int64) bool) *waiter {
	for _, p := range order(turn) {
		line := q.lines[p]
		if len(line) > 0 && may(p, line[0].weight) {
			w := line[0]
			line[0] = nil
			q.lines[p] = line[1:]
			return w
		}
	}
	return nil
}

// order is the sequence in which lines are asked at a turn: by priority, but
// every tenth turn belongs to polls, so that a flood of re-reads cannot stop
// them.
func order(turn int64) [4]source.Priority {
	if turn%10 == 9 {
		return [4]source.Priority{source.ForPoll, source.ForReread, source.ForSnapshot, source.ForHydration}
	}
	return [4]source.Priority{source.ForReread, source.ForPoll, source.ForSnapshot, source.ForHydration}
}
