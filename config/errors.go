package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Error is one mistake in a config. It never holds a secret: values that came from the environment or from a file, and
// addresses that may carry a password, are named by their key only.
type Error struct {
	// File is the config's path as given to Load, empty from Parse.
	File string
	// Line counts from 1, 0 when unknown. For a missing key it is the line of the object that lacks it.
	Line int
	// Path is the dotted key, as in pipelines.support.warehouse.url; empty when the file as a whole is wrong.
	Path string
	// Problem says what is wrong, Fix what to write instead; Fix may be empty.
	Problem, Fix string
}

// Error returns one line: file:line: key: problem (fix).
func (e *Error) Error() string {
	var b strings.Builder
	switch {
	case e.File != "" && e.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	case e.File != "":
		b.WriteString(e.File + ": ")
	case e.Line > 0:
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Problem)
	if e.Fix != "" {
		b.WriteString("; " + e.Fix)
	}
	return printable(b.String())
}

// Errors lists the mistakes inside an error of Load or Parse, in the order of the file. It returns nil for nil.
func Errors(err error) []*Error {
	var one *Error
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*Error
		for _, e := range many.Unwrap() {
			all = append(all, Errors(e)...)
		}
		return all
	}
	if errors.As(err, &one) {
		return []*Error{one}
	}
	return nil
}

// err joins what was found, in the order of the file.
func (d *decoder) err() error {
	slices.SortStableFunc(d.errs, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	all := make([]error, len(d.errs))
	for i, e := range d.errs {
		all[i] = e
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

func (d *decoder) add(e *Error) { d.errs = append(d.errs, e) }

// printable keeps a message on one line whatever was in the file.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 || r == 0x85 {
			return ' '
		}
		return r
	}, s)
}

// fileProblem says in two words why a file cannot be read, without its path, which the caller names.
func fileProblem(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such file"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
