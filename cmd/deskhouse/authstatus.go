package main

import (
	"context"
	"fmt"
	"io"

	"deskhouse/source/zohodesk"
)

// authorisationStatus is the part of a connection's status that says whether it
// may ask Zoho anything.
type authorisationStatus struct {
	Authorisation string   `json:"authorisation"` // connected, needs authorisation, revoked; "" = not known now
	Why           string   `json:"authorisation_reason,omitempty"`
	Remedy        string   `json:"remedy,omitempty"` // the command that connects it
	MissingScopes []string `json:"missing_scopes,omitempty"`
	Warnings      []string `json:"warnings,omitempty"`
}

// addAuthorisation says of each connection how it is authorised, and of each
// pipeline whether it is paused for want of it.
func (c *core) addAuthorisation(ctx context.Context, s *statusReply) {
	paused := map[string]string{}
	for i := range s.Connections {
		one := &s.Connections[i]
		reply, err := c.describe(ctx, c.conns[one.Name])
		if err != nil {
			one.Why = err.Error()
			continue
		}
		one.authorisationStatus = authorisationStatus{reply.State, reply.Reason, reply.Remedy, reply.MissingScopes, reply.Warnings}
		if reply.State != zohodesk.StateConnected {
			paused[one.Name] = joined(": ", "connection "+one.Name+" "+stateText(reply.State), reply.Reason)
		}
	}
	for i := range s.Pipelines {
		s.Pipelines[i].Paused = paused[s.Pipelines[i].Connection]
	}
}

// stateText is a state of an authorisation behind the connection's name.
func stateText(state string) string {
	if state == zohodesk.StateRevoked {
		return "is revoked"
	}
	return state
}

func printPaused(w io.Writer, p pipelineStatus) {
	if p.Paused != "" {
		fmt.Fprintf(w, "  PAUSED: %s\n  events are stored and applied, nothing is read from Zoho until: %s\n", p.Paused, exchangeCommand(p.Connection))
	}
}

func printAuthorisation(w io.Writer, c connectionStatus) {
	if c.Authorisation != "" && c.Authorisation != zohodesk.StateConnected {
		fmt.Fprintf(w, "  %s\n", joined(": ", c.Authorisation, c.Why))
	}
	printAdvice(w, "  ", connectionReply{MissingScopes: c.MissingScopes, Warnings: c.Warnings, Remedy: c.Remedy})
}
