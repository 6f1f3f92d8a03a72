package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// maxCode bounds a grant code: those of captures have 70 characters.
const maxCode = 512

// errInterrupted ends a prompt at Ctrl-C, Ctrl-D or SIGTERM.
var errInterrupted = errors.New("interrupted: nothing was changed")

// interactive reports whether a person can be asked.
func interactive() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd()))
}

// grantCode is what the flag says, what is piped into stdin, or what a person
// pastes at a prompt, which does not show it.
func grantCode(ctx context.Context, flag string) (string, error) {
	switch {
	case flag != "":
		return cleanCode(flag)
	case interactive():
		code, err := ask(ctx, func(t *term.Terminal) (string, error) { return t.ReadPassword("Grant code (it is not shown): ") })
		if err != nil {
			return "", err
		}
		return cleanCode(code)
	}
	piped, err := io.ReadAll(io.LimitReader(os.Stdin, maxCode+2))
	if err != nil {
		return "", fmt.Errorf("read the grant code from stdin: %w", err)
	}
	return cleanCode(string(piped))
}

// cleanCode takes the white space and quotes off that pasting leaves. Its errors
// do not quote the code.
func cleanCode(s string) (string, error) {
	s = strings.Trim(strings.TrimSpace(s), `"'`)
	switch {
	case s == "":
		return "", &exitError{exitUsage, errors.New("no grant code: give --code, pipe it into stdin, or paste it at the prompt on a terminal")}
	case len(s) > maxCode || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII }):
		return "", &exitError{exitUsage, errors.New("that is not a grant code: want the one line that the API console shows, without spaces")}
	}
	return s, nil
}

// confirm asks a yes-or-no question; whatever does not begin with y is a no.
func confirm(ctx context.Context, question string) (bool, error) {
	answer, err := ask(ctx, func(t *term.Terminal) (string, error) {
		t.SetPrompt(question + " [y/N] ")
		return t.ReadLine()
	})
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y"), err
}

// ask lets read speak with the terminal and puts it back as it was.
func ask(ctx context.Context, read func(*term.Terminal) (string, error)) (string, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("prompt: %w", err)
	}
	answer, err := read(term.NewTerminal(keyboard{ctx, fd}, ""))
	if err := term.Restore(fd, before); err != nil {
		return "", fmt.Errorf("prompt: %w", err)
	}
	switch {
	case errors.Is(err, io.EOF): // Ctrl-C and Ctrl-D, which a raw terminal hands on as keys
		return "", &exitError{exitFailed, errInterrupted}
	case err != nil:
		return "", fmt.Errorf("prompt: %w", err)
	}
	return answer, nil
}

// keyboard reads stdin until ctx ends and writes to stderr.
type keyboard struct {
	ctx context.Context
	fd  int
}

// keyWait is how long one look at the keyboard waits, in milliseconds: the most
// that a SIGTERM has to wait for.
const keyWait = 100

func (k keyboard) Read(p []byte) (int, error) {
	ready := []unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLIN}}
	for {
		if k.ctx.Err() != nil {
			return 0, io.EOF
		}
		n, err := unix.Poll(ready, keyWait)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return os.Stdin.Read(p)
		}
	}
}

func (k keyboard) Write(p []byte) (int, error) { return os.Stderr.Write(p) }
