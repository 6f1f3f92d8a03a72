package desksim

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// Deliveries carry X-ZDesk-JWT: RS256 with a kid, iss "orgId:<portal>", aud "webhookId:<webhook>", iat and exp in seconds
// or, with Config.TokenMillis, in milliseconds (WEBHOOKDOC; its text says milliseconds, its example and the verifiers in
// use say seconds). The body is not covered.

const tokenMinutes = 5 * time.Minute

// rsaKeys are made once per process: making one takes longer than a whole test.
var rsaKeys struct {
	mu   sync.Mutex
	made []*rsa.PrivateKey
}

func rsaKey(n int) (*rsa.PrivateKey, error) {
	rsaKeys.mu.Lock()
	defer rsaKeys.mu.Unlock()
	for len(rsaKeys.made) <= n {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("make a signing key: %w", err)
		}
		rsaKeys.made = append(rsaKeys.made, k)
	}
	return rsaKeys.made[n], nil
}

func (p *Portal) signingKey() (jwk.Key, error) {
	n := int(p.stats.rotations.Load())
	raw, err := rsaKey(n)
	if err != nil {
		return nil, err
	}
	key, err := jwk.Import(raw)
	if err != nil {
		return nil, fmt.Errorf("import the signing key: %w", err)
	}
	for name, v := range map[string]any{jwk.KeyIDKey: "sim-" + strconv.Itoa(n), jwk.AlgorithmKey: jwa.RS256(), jwk.KeyUsageKey: "sig"} {
		if err := key.Set(name, v); err != nil {
			return nil, fmt.Errorf("set %s of the signing key: %w", name, err)
		}
	}
	return key, nil
}

// RotateSigningKey makes later deliveries use a new key under a new kid; the old one leaves the key set at once.
func (p *Portal) RotateSigningKey() { p.stats.rotations.Add(1) }

// sign makes the token of one delivery.
func (p *Portal) sign(webhook uint64) (string, error) {
	now := p.Now()
	memo := tokenMemo{webhook, now.Unix(), p.stats.rotations.Load()}
	if token, ok := p.signed.Load(memo); ok {
		return token.(string), nil
	}
	key, err := p.signingKey()
	if err != nil {
		return "", err
	}
	unit := int64(1)
	if p.cfg.TokenMillis {
		unit = 1000
	}
	claims := fmt.Appendf(nil, `{"iss":"orgId:%d","aud":"webhookId:%d","iat":%d,"exp":%d}`, p.cfg.OrgID, webhook, now.Unix()*unit, now.Add(tokenMinutes).Unix()*unit)
	token, err := jws.Sign(claims, jws.WithKey(jwa.RS256(), key))
	if err != nil {
		return "", fmt.Errorf("sign a delivery to webhook %d: %w", webhook, err)
	}
	p.signed.Clear()
	p.signed.Store(memo, string(token))
	return string(token), nil
}

// tokenMemo is what a token depends on: deliveries of one webhook within a second share one.
type tokenMemo struct {
	webhook   uint64
	second    int64
	rotations int64
}

// keySet is the body of /.well-known/jwks.json.
func (p *Portal) keySet() []byte {
	set := jwk.NewSet()
	key, err := p.signingKey()
	if err == nil {
		if public, err := jwk.PublicKeyOf(key); err == nil {
			_ = set.AddKey(public) // fails only for a key that is already in the set
		}
	}
	body, err := json.Marshal(set)
	if err != nil {
		return []byte(`{"keys":[]}`)
	}
	return body
}
