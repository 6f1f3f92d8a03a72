package webhook

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
)

// forge makes a compact token of any header and payload, signed by sign (nil: without a signature).
func forge(header, payload string, sign func(input []byte) []byte) string {
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	var signature []byte
	if sign != nil {
		signature = sign([]byte(input))
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func rs256(key *rsa.PrivateKey) func([]byte) []byte {
	return func(input []byte) []byte {
		digest := sha256.Sum256(input)
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		if err != nil {
			panic(err)
		}
		return signature
	}
}

func hs256(secret []byte) func([]byte) []byte {
	return func(input []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(input)
		return mac.Sum(nil)
	}
}

// publicPEM is how a public key is handed around, and so what a confused verifier would take for the HMAC's secret.
func publicPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(rsaKeys()[0].Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func (o tokenOf) payload() string {
	b, err := json.Marshal(o.claims)
	if err != nil {
		panic(err)
	}
	return string(b)
}

const goodHeader = `{"alg":"RS256","kid":"k1"}`

// TestAttacks sends each forged, foreign or stale token to the intake over HTTP. Each would store an event if it were taken,
// and so does the honest one before and after.
func TestAttacks(t *testing.T) {
	zoho, mallory := rs256(rsaKeys()[0]), rs256(rsaKeys()[1])
	claims := goodToken().payload()
	honest := forge(goodHeader, claims, zoho)
	part := strings.Split(honest, ".")
	with := func(claim string, value any) []string {
		return []string{forge(goodHeader, goodToken().with(claim, value).payload(), zoho)}
	}
	one := func(header, payload string, sign func([]byte) []byte) []string {
		return []string{forge(header, payload, sign)}
	}
	jwkOfMallory := fmt.Sprintf(`{"kty":"RSA","e":"AQAB","n":%q}`, base64.RawURLEncoding.EncodeToString(rsaKeys()[1].N.Bytes()))
	for _, attack := range []struct {
		name   string
		tokens []string // a header line each
		later  time.Duration
		status int
	}{
		{"alg none", one(`{"alg":"none","kid":"k1"}`, claims, nil), 0, 401},
		{"alg None with a signature", one(`{"alg":"None","kid":"k1"}`, claims, zoho), 0, 401},
		{"alg absent", one(`{"kid":"k1"}`, claims, zoho), 0, 401},
		{"alg in capitals of the name", one(`{"ALG":"RS256","kid":"k1"}`, claims, zoho), 0, 401},
		{"HS256 with the public key as PEM", one(`{"alg":"HS256","kid":"k1"}`, claims, hs256(publicPEM(t))), 0, 401},
		{"HS256 with the public key's modulus", one(`{"alg":"HS256","kid":"k1"}`, claims, hs256(rsaKeys()[0].N.Bytes())), 0, 401},
		{"HS256 under the name of RS256", one(goodHeader, claims, hs256(publicPEM(t))), 0, 401},
		{"RS512 of the right key", []string{tokenOf{kid: "k1", alg: jwa.RS512(), key: rsaKeys()[0], claims: goodToken().claims}.sign(t)}, 0, 401},
		{"PS256 of the right key", []string{tokenOf{kid: "k1", alg: jwa.PS256(), key: rsaKeys()[0], claims: goodToken().claims}.sign(t)}, 0, 401},

		{"a key we do not know", one(`{"alg":"RS256","kid":"k2"}`, claims, mallory), 0, 401},
		{"another key under the right kid", one(goodHeader, claims, mallory), 0, 401},
		{"the right key under another kid", one(`{"alg":"RS256","kid":"k2"}`, claims, zoho), 0, 401},
		{"no kid", one(`{"alg":"RS256"}`, claims, zoho), 0, 401},
		{"kid that is a path", one(`{"alg":"RS256","kid":"../../dev/null"}`, claims, mallory), 0, 401},
		{"an embedded key", one(`{"alg":"RS256","kid":"k1","jwk":`+jwkOfMallory+`}`, claims, mallory), 0, 401},
		{"an embedded key, signed by the right one", one(`{"alg":"RS256","kid":"k1","jwk":`+jwkOfMallory+`}`, claims, zoho), 0, 401},
		{"a key set elsewhere", one(`{"alg":"RS256","kid":"k1","jku":"https://evil.example.org/keys"}`, claims, zoho), 0, 401},
		{"a certificate elsewhere", one(`{"alg":"RS256","kid":"k1","x5u":"https://evil.example.org/c"}`, claims, zoho), 0, 401},
		{"an embedded certificate", one(`{"alg":"RS256","kid":"k1","x5c":["AAAA"]}`, claims, zoho), 0, 401},
		{"crit", one(`{"alg":"RS256","kid":"k1","crit":["exp"],"exp":1}`, claims, zoho), 0, 401},
		{"payload not encoded", one(`{"alg":"RS256","kid":"k1","b64":false}`, claims, zoho), 0, 401},
		{"a header name twice", one(`{"alg":"RS256","kid":"k1","alg":"none"}`, claims, zoho), 0, 401},
		{"header that is no object", one(`["RS256"]`, claims, zoho), 0, 401},

		{"another portal", with("iss", "orgId:60000000002"), 0, 403},
		{"no portal", with("iss", nil), 0, 403},
		{"another webhook", with("aud", "webhookId:1"), 0, 403},
		{"no webhook", with("aud", nil), 0, 403},
		{"other webhooks in a list", with("aud", []string{"webhookId:1", webhookID}), 0, 403},

		{"expired", with("exp", now.Add(-leeway).Unix()), 0, 401},
		{"expired in milliseconds", with("exp", now.Add(-2*time.Minute).UnixMilli()), 0, 401},
		{"no exp", with("exp", nil), 0, 401},
		{"exp that is no number", with("exp", "soon"), 0, 401},
		{"negative exp", with("exp", -1), 0, 401},
		{"exp that is infinite", one(goodHeader, strings.Replace(claims, `"exp":`, `"exp":1e999,"x":`, 1), zoho), 0, 401},
		{"far-future", with("exp", now.Add(maxLife+time.Second).Unix()), 0, 401},
		{"far-future in milliseconds", with("exp", now.AddDate(10, 0, 0).UnixMilli()), 0, 401},
		{"issued in the future", with("iat", now.Add(leeway+time.Second).Unix()), 0, 401},
		{"not valid yet", with("nbf", now.Add(leeway+time.Second).Unix()), 0, 401},
		{"issued too long ago, not expired", with("iat", now.Add(-maxAge-leeway-time.Second).Unix()), 0, 401},
		{"iat that is no number", with("iat", []int{1}), 0, 401},
		{"a claim twice", one(goodHeader, strings.Replace(claims, `"exp":`, `"exp":1,"exp":`, 1), zoho), 0, 401},

		{"replayed later", []string{honest}, 5*time.Minute + leeway, 401},
		{"a token for a day, replayed after two hours", with("exp", now.Add(maxLife).Unix()), 2 * time.Hour, 401},

		{"truncated signature", []string{honest[:len(honest)-8]}, 0, 401},
		{"no signature", []string{part[0] + "." + part[1] + "."}, 0, 401},
		{"two parts", []string{part[0] + "." + part[1]}, 0, 401},
		{"two signatures", []string{honest + "." + part[2]}, 0, 401},
		{"two signatures as JSON", []string{fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q},{"protected":%q,"signature":%q}]}`, part[1], part[0], part[2], part[0], part[2])}, 0, 401},
		{"empty payload", one(goodHeader, "", zoho), 0, 401},
		{"payload elsewhere", []string{part[0] + ".." + part[2]}, 0, 401},
		{"payload that is no object", one(goodHeader, `"x"`, zoho), 0, 401},
		{"payload that is null", one(goodHeader, "null", zoho), 0, 401},
		{"changed payload", []string{part[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(claims, webhookID, "1", 1))) + "." + part[2]}, 0, 401},
		{"padding", []string{honest + "=="}, 0, 401},
		{"spaces inside", []string{part[0] + ". " + part[1] + "." + part[2]}, 0, 401},
		{"too long", []string{honest + strings.Repeat("x", maxTokenBytes)}, 0, 401},
		{"nonsense", []string{"nonsense"}, 0, 401},

		{"header twice, honest first", []string{honest, forge(goodHeader, claims, mallory)}, 0, 401},
		{"header twice, honest last", []string{forge(goodHeader, claims, mallory), honest}, 0, 401},
		{"header twice, both honest", []string{honest, honest}, 0, 401},
		{"none, where one is required", nil, 0, 401},
	} {
		t.Run(attack.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(_ *fixture, _ *Config, r *Route) { required.of(r) })
			intake := httptest.NewServer(f.server)
			t.Cleanup(intake.Close)
			sent := []struct {
				tokens []string
				status int
			}{{[]string{honest}, 200}, {attack.tokens, attack.status}}
			for i, s := range sent {
				if i == 1 {
					f.clock.Advance(attack.later)
				}
				if got := postTokens(t, intake.URL, s.tokens); got != s.status {
					t.Errorf("request %d: status %d, want %d", i, got, s.status)
				}
			}
			if events, _ := f.log.events(t); len(events) != 1 || !events[0].Verified {
				t.Errorf("%d events are stored", len(events))
			}
			if len(f.dead.kept) != 0 {
				t.Error("something is kept of it")
			}
		})
	}
}

// postTokens sends an event with one header line a token.
func postTokens(t *testing.T, host string, tokens []string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, host+Path("support", secret), strings.NewReader(ticketAdd))
	if err != nil {
		t.Fatal(err)
	}
	req.Header[tokenHeader] = tokens
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestTokensTaken: what differs between what Zoho documents and what it sends, and still is a good token.
func TestTokensTaken(t *testing.T) {
	for _, token := range []struct {
		name string
		tokenOf
		unit string
	}{
		{"seconds", goodToken(), "seconds"},
		{"milliseconds", goodToken().with("exp", now.Add(5*time.Minute).UnixMilli()).with("iat", now.UnixMilli()), "milliseconds"},
		{"times as text", goodToken().with("exp", fmt.Sprint(now.Add(time.Minute).Unix())), "seconds"},
		{"expired within the leeway", goodToken().with("exp", now.Add(-leeway+time.Second).Unix()), "seconds"},
		{"issued within the leeway", goodToken().with("iat", now.Add(leeway).Unix()), "seconds"},
		{"issued an hour ago", goodToken().with("iat", now.Add(-maxAge).Unix()), "seconds"},
		{"no iat", goodToken().with("iat", nil), "seconds"},
		{"a day ahead", goodToken().with("exp", now.Add(maxLife).Unix()), "seconds"},
		{"webhook in a list", goodToken().with("aud", []string{"webhookId:1", "webhookId:" + webhookID}), "seconds"},
		{"further claims", goodToken().with("jti", map[string]any{"a": 1}), "seconds"},
	} {
		t.Run(token.name, func(t *testing.T) {
			t.Parallel()
			var met []string
			f := start(t, func(_ *fixture, _ *Config, r *Route) {
				required.of(r)
				r.Proof.(*JWT).Met = func(unit string) { met = append(met, unit) }
			})
			if got := f.post(token.sign(t), ticketAdd); got != 200 {
				t.Errorf("status %d", got)
			}
			if len(met) != 1 || met[0] != token.unit {
				t.Errorf("met %q, want %q", met, token.unit)
			}
		})
	}
}

// FuzzToken: whatever the header says, nothing panics, and the only tokens taken are those that Zoho signed, character for
// character.
func FuzzToken(f *testing.F) {
	zoho := rs256(rsaKeys()[0])
	honest := map[string]bool{}
	for _, claims := range []string{goodToken().payload(), goodToken().with("exp", now.Add(time.Minute).UnixMilli()).payload()} {
		honest[forge(goodHeader, claims, zoho)] = true
	}
	for token := range honest {
		f.Add(token)
		f.Add(token + "=")
		f.Add(strings.ToUpper(token))
		f.Add(token[:len(token)/2])
	}
	f.Add(forge(`{"alg":"none","kid":"k1"}`, goodToken().payload(), nil))
	f.Add(forge(`{"alg":"RS256","kid":"k1","crit":[]}`, "{", zoho))
	f.Add("..")
	jwt := &JWT{OrgID: org, WebhookIDs: only(webhookID), Keys: heldKey{}, Clock: fixedClock()}
	f.Fuzz(func(t *testing.T, token string) {
		h := http.Header{}
		h.Set(tokenHeader, token)
		err := jwt.InHeader(t.Context(), h)
		if taken := err == nil; taken != honest[token] {
			t.Errorf("taken %v: %v", taken, err)
		}
	})
}

// FuzzClaims: of claims that are signed only those are taken that end within a day and name portal and webhook.
func FuzzClaims(f *testing.F) {
	for _, token := range []tokenOf{goodToken(), goodToken().with("exp", "x"), goodToken().with("iat", now.UnixMilli()), goodToken().with("aud", []string{"webhookId:" + webhookID})} {
		f.Add([]byte(token.payload()))
	}
	f.Add([]byte(`{"exp":1e12,"exp":1}`))
	jwt := &JWT{OrgID: org, WebhookIDs: only(webhookID), Clock: fixedClock()}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if jwt.claims(payload) != nil {
			return
		}
		claims, err := strictObject(payload)
		if text := string(payload); err != nil || !strings.Contains(text, "orgId") && !strings.Contains(text, `\u`) {
			t.Fatalf("taken: %q, %v", payload, err)
		}
		at, _, ok := claimTime(claims["exp"])
		if !ok || at.Before(now.Add(-leeway)) || at.After(now.Add(maxLife)) {
			t.Errorf("taken: %q", payload)
		}
	})
}
