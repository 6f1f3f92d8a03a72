package state

import (
	"errors"
	"testing"
)

// TestConformance holds both kinds of server to the same promises.
func TestConformance(t *testing.T) {
	kinds := map[string]func(testing.TB) Config{"embedded": embeddedConfig, "external": externalConfig}
	cases := map[string]func(*testing.T, Config){
		"put is compare-and-set":                    putIsCompareAndSet,
		"set and delete are idempotent":             setAndDelete,
		"a deleted key can be made again":           deletedKeyCanBeMadeAgain,
		"list by prefix, sorted, no deleted":        listByPrefix,
		"bad names are refused":                     badNames,
		"values over the limit are refused":         tooLarge,
		"secrets open only under key and name":      secretsOpenOnlyWithKey,
		"another key is refused at open":            wrongKeyAtOpen,
		"without a key there are no secrets":        noKey,
		"newer format is refused":                   newerFormat,
		"log keeps order and content":               logOrder,
		"concurrent appends all arrive":             concurrentAppends,
		"reader resumes from a sequence":            readerResumes,
		"reader follows appends":                    readerFollows,
		"reader gives up and goes on":               readerGivesUp,
		"pending counts what is unread":             pendingCounts,
		"reader close ends next":                    readerClose,
		"large groups come whole":                   largeGroups,
		"purge removes up to":                       purgeUpTo,
		"numbers go on after purge and reopen":      numbersGoOn,
		"before finds by time":                      beforeByTime,
		"full log refuses and recovers after purge": fullLog,
		"lowering the limit drops nothing":          lowerLimit,
		"dead letters are apart and deletable":      deadLetters,
		"lease is exclusive":                        leaseExclusive,
		"lease released can be taken":               leaseReleased,
		"use after close":                           useAfterClose,
	}
	for kind, config := range kinds {
		t.Run(kind, func(t *testing.T) {
			for name, run := range cases {
				t.Run(name, func(t *testing.T) { run(t, config(t)) })
			}
		})
	}
}

func useAfterClose(t *testing.T, cfg Config) {
	s, ctx := openStore(t, cfg), testContext(t)
	l := openTestLog(t, s, "p")
	r := openReader(t, l, 0)
	done := make(chan error, 1)
	go func() {
		_, err := r.Next(ctx)
		done <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, appendErr := l.Append(ctx, []byte("x"))
	_, getErr := s.Get(ctx, "a")
	for op, err := range map[string]error{"next": <-done, "append": appendErr, "get": getErr, "healthy": s.Healthy()} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", op, err)
		}
	}
}
