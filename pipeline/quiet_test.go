package pipeline

import (
	"testing"
	"testing/synctest"
	"time"
)

// A quiet portal must cost little: the defaults of the polls are chosen for
// about 20 credits an hour (design: never above 5 % of the day's credits).
func TestQuietPortalCostsFewCredits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, true)
		defer w.portal.Close()
		w.start()
		defer func() { w.stop() }()
		<-w.p.Loaded()
		before := w.portal.Stats().CreditsFor
		time.Sleep(48 * time.Hour)
		total := 0
		for class, spent := range w.portal.Stats().CreditsFor {
			if n := spent - before[class]; n != 0 {
				t.Logf("%s: %.1f credits an hour", class, float64(n)/48)
				total += n
			}
		}
		t.Logf("total: %.1f credits an hour", float64(total)/48)
		if perHour := float64(total) / 48; perHour > 25 || perHour == 0 {
			t.Errorf("a quiet hour costs %.1f credits", perHour)
		}
	})
}
