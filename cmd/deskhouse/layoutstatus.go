package main

import (
	"fmt"
	"io"
)

// layoutStatus is a table whose layout is not the one that the configuration
// asks for.
type layoutStatus struct {
	Table   string `json:"table"`
	Layout  string `json:"layout"`
	Wanted  string `json:"wanted"`
	Command string `json:"command"` // what changes it
}

// layouts are the tables that a rebuild would give another layout.
func (p *pipe) layouts() []layoutStatus {
	p.mu.Lock()
	wh := p.wh
	p.mu.Unlock()
	if wh == nil {
		return nil
	}
	var all []layoutStatus
	for _, o := range wh.OtherLayouts() {
		all = append(all, layoutStatus{Table: string(o.Table), Layout: string(o.Is), Wanted: string(p.cfg.Warehouse.Layout),
			Command: fmt.Sprintf("deskhouse resync --pipeline %s --table %s --rebuild", p.name, o.Table)})
	}
	return all
}

func printLayouts(w io.Writer, all []layoutStatus) {
	for _, l := range all {
		fmt.Fprintf(w, "layout of %s is %s, the configuration asks for %s: %s\n", l.Table, l.Layout, l.Wanted, l.Command)
	}
}
