package state

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestReplicas(t *testing.T) {
	s := openStore(t, externalConfig(t))
	openTestLog(t, s, "p")
	if _, err := s.js.CreateStream(testContext(t), jetstream.StreamConfig{Name: "ABC_foreign", Subjects: []string{"foreign"}}); err != nil {
		t.Fatal(err)
	}
	n, stream, err := s.Replicas(testContext(t))
	if n != 1 || !isOurs(stream) || err != nil {
		t.Errorf("one server: %d replicas of %q, %v", n, stream, err)
	}
	for stream, ours := range map[string]bool{"EV_p": true, "DL_p": true, "KV_deskhouse": true, "KV_other": false, "ABC_foreign": false} {
		if isOurs(stream) != ours {
			t.Errorf("%s: ours %v", stream, !ours)
		}
	}
}

func TestReplicasOfTheEmbeddedServer(t *testing.T) {
	s := openStore(t, embeddedConfig(t))
	if n, stream, err := s.Replicas(testContext(t)); n != 0 || stream != "" || err != nil {
		t.Errorf("%d replicas of %q, %v", n, stream, err)
	}
}
