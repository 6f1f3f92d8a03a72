package oascheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Spec is a folder of OpenAPI files that refer to each other.
type Spec struct {
	files map[string]map[string]any
	ops   []*operation
}

// operation is one method on one path of one file.
type operation struct {
	method, path string
	segments     []string
	at           node
	params       map[string]parameter
}

type parameter struct {
	required bool
	schema   node
}

// node is a piece of a file; refs inside it are relative to the file.
type node struct {
	file string
	v    map[string]any
}

// ErrAbsent is returned by Find when the files are not on this machine; the test skips then.
var ErrAbsent = errors.New("no folder with Zoho's OpenAPI files: set DESKHOUSE_OAS to it")

// Find returns the folder with the OpenAPI files: $DESKHOUSE_OAS, or a folder shared/zoho-desk-oas beside the repository or
// above.
func Find() (string, error) {
	if dir := os.Getenv("DESKHOUSE_OAS"); dir != "" {
		return dir, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the OpenAPI files: %w", err)
	}
	for {
		at := filepath.Join(dir, "shared", "zoho-desk-oas")
		if _, err := os.Stat(at); err == nil {
			return at, nil
		}
		if dir == filepath.Dir(dir) {
			return "", ErrAbsent
		}
		dir = filepath.Dir(dir)
	}
}

// Load reads every *.json of the folder.
func Load(dir string) (*Spec, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("load OpenAPI files from %s: none there: %w", dir, errors.Join(err, ErrAbsent))
	}
	s := &Spec{files: map[string]map[string]any{}}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("load OpenAPI file: %w", err)
		}
		var v map[string]any
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, fmt.Errorf("load OpenAPI file %s: %w", name, err)
		}
		s.files[filepath.Base(name)] = v
	}
	for file, v := range s.files {
		paths, _ := v["paths"].(map[string]any)
		for path, methods := range paths {
			if err := s.addPath(file, path, methods); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

func (s *Spec) addPath(file, path string, methods any) error {
	byMethod, _ := methods.(map[string]any)
	for method, v := range byMethod {
		m, ok := v.(map[string]any)
		if !ok || !slices.Contains([]string{"get", "post", "put", "patch", "delete"}, method) {
			continue
		}
		op := &operation{method: strings.ToUpper(method), path: path, segments: strings.Split(path, "/"), at: node{file, m}, params: map[string]parameter{}}
		list, _ := m["parameters"].([]any)
		for _, p := range list {
			n, err := s.resolve(node{file, asMap(p)})
			if err != nil {
				return fmt.Errorf("load %s %s: %w", method, path, err)
			}
			if n.v["in"] == "query" {
				name, _ := n.v["name"].(string)
				required, _ := n.v["required"].(bool)
				op.params[name] = parameter{required, node{n.file, asMap(n.v["schema"])}}
			}
		}
		s.ops = append(s.ops, op)
	}
	return nil
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// resolve follows $ref until there is none.
func (s *Spec) resolve(n node) (node, error) {
	for range 32 {
		ref, ok := n.v["$ref"].(string)
		if !ok {
			return n, nil
		}
		file, pointer, _ := strings.Cut(ref, "#")
		if file = filepath.Base(file); file == "." {
			file = n.file
		}
		var v any = s.files[file]
		for key := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
			v = asMap(v)[strings.ReplaceAll(key, "~1", "/")]
		}
		m, ok := v.(map[string]any)
		if !ok {
			return node{}, fmt.Errorf("reference %s in %s leads nowhere", ref, n.file)
		}
		n = node{file, m}
	}
	return node{}, fmt.Errorf("references in %s go round", n.file)
}

// find returns the operation for a request's method and path; known tells whether the path exists with another method.
func (s *Spec) find(method, path string) (op *operation, known bool) {
	segments := strings.Split(path, "/")
	best := -1
	for _, o := range s.ops {
		n, ok := fit(o.segments, segments)
		if known = known || ok; ok && o.method == method && n > best {
			op, best = o, n
		}
	}
	return op, known
}

// fit counts the fixed segments that match; ok is false when the path is another.
func fit(template, path []string) (fixed int, ok bool) {
	if len(template) != len(path) {
		return 0, false
	}
	for i, t := range template {
		switch {
		case t == path[i]:
			fixed++
		case !strings.HasPrefix(t, "{"):
			return 0, false
		}
	}
	return fixed, true
}
