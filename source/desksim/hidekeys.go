package desksim

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// dropKeys removes the members with these names from every object of a JSON text the portal wrote.
func dropKeys(body []byte, keys map[string]bool) []byte {
	if len(body) == 0 {
		return body
	}
	var out bytes.Buffer
	in := jsontext.NewDecoder(bytes.NewReader(body))
	enc := jsontext.NewEncoder(&out)
	for {
		if kind, n := in.StackIndex(in.StackDepth()); kind == '{' && n%2 == 0 && in.PeekKind() == '"' {
			name, err := in.ReadToken()
			if err != nil {
				return body
			}
			if keys[name.String()] {
				if in.SkipValue() != nil {
					return body
				}
				continue
			}
			if enc.WriteToken(name) != nil {
				return body
			}
			continue
		}
		token, err := in.ReadToken()
		if err != nil {
			return bytes.TrimSpace(out.Bytes()) // io.EOF: the text is the portal's own and well formed
		}
		if enc.WriteToken(token) != nil {
			return body
		}
	}
}
