package zohodesk

import (
	"testing"
)

func TestMe(t *testing.T) {
	z := &scripted{api: always(200, `{"id":"1892000000056007","name":"Torrey Emard","emailId":"emardtorrey@zylker.com","photoURL":null,"isConfirmed":true}`)}
	me, err := newClient(t, z).Me(t.Context())
	if want := (Agent{1892000000056007, "Torrey Emard", "emardtorrey@zylker.com"}); err != nil || me != want {
		t.Errorf("%+v, %v", me, err)
	}
	if path := z.sent()[len(z.sent())-1].URL.Path; path != "/api/v1/myinfo" {
		t.Errorf("asked %s", path)
	}
	for _, body := range []string{`{}`, `[]`, `{"id":null,"name":"x"}`, `{"id":"x"}`} {
		if me, err := newClient(t, &scripted{api: always(200, body)}).Me(t.Context()); err == nil {
			t.Errorf("%s: %+v and no error", body, me)
		}
	}
}
