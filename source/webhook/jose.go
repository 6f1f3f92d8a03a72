package webhook

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxTokenBytes is far above Zoho's tokens of about a kilobyte.
const maxTokenBytes = 8 << 10

// compactToken is a JWS in compact form, taken apart and not yet verified.
type compactToken struct {
	kid       string
	payload   []byte
	signature []byte
	input     string // what the signature covers
}

// splitToken takes the one form that Zoho sends: three parts in base64url without padding, RS256, a kid. Everything else
// is refused before a key is looked for, so that neither the header nor a second spelling of the same token decides how
// it is verified.
func splitToken(raw string) (t compactToken, err error) {
	parts := strings.Split(raw, ".")
	if len(raw) > maxTokenBytes || len(parts) != 3 {
		return t, errors.New("not a compact token")
	}
	var decoded [3][]byte
	for i, part := range parts {
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || len(decoded[i]) == 0 || strings.ContainsAny(part, "\r\n") {
			return t, errors.New("not base64url")
		}
	}
	if t.kid, err = keyID(decoded[0]); err != nil {
		return t, err
	}
	t.payload, t.signature, t.input = decoded[1], decoded[2], raw[:len(parts[0])+1+len(parts[1])]
	return t, nil
}

// refusedHeaders would bring a key of the sender's own, or change what the signature means (RFC 7515, RFC 7797). Zoho
// sends none of them.
var refusedHeaders = []string{"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"}

func keyID(header []byte) (string, error) {
	h, err := strictObject(header)
	if err != nil {
		return "", errors.New("header is not JSON")
	}
	if textOf(h["alg"]) != "RS256" {
		return "", errors.New("not RS256")
	}
	for _, name := range refusedHeaders {
		if h[name] != nil {
			return "", errors.New("header " + name)
		}
	}
	kid := textOf(h["kid"])
	if kid == "" {
		return "", errors.New("no kid")
	}
	return kid, nil
}

func (t compactToken) signedBy(key *rsa.PublicKey) bool {
	digest := sha256.Sum256([]byte(t.input))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], t.signature) == nil
}

// strictObject reads a JSON object whose names are exact and given once, at any depth.
func strictObject(raw []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if !jsontext.Value(raw).IsValid() {
		return nil, errors.New("not valid JSON")
	}
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return nil, errors.New("not an object")
	}
	return members, nil
}

// textOf returns a JSON string's text, "" for anything else.
func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
