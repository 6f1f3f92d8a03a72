package main

import (
	"cmp"
	"errors"

	"deskhouse/config"
	"deskhouse/source"
)

// masksOf are what each table of a pipeline is to hold, for those that are not
// to hold everything. The error tells every mistake, as *config.Error.
func masksOf(name string, p config.Pipeline) (map[source.Table]*source.Mask, error) {
	masks := map[source.Table]*source.Mask{}
	var wrong []error
	for _, r := range source.Resources {
		m, err := source.NewMask(r, selectionOf(p.Tables[string(r.Table)]), []byte(p.HashKey.Reveal()))
		if err != nil {
			wrong = append(wrong, selectionError(name, err))
		}
		if m != nil {
			masks[r.Table] = m
		}
	}
	return masks, errors.Join(wrong...)
}

func selectionOf(t config.Table) source.Selection {
	var s source.Selection
	if t.Columns != nil {
		s.Exclude, s.Hash = t.Columns.Exclude, t.Columns.Hash
	}
	if t.Departments != nil {
		s.Only, s.Except = t.Departments.Only, t.Departments.Except
	}
	return s
}

// selectionError says where in the configuration a selection is wrong.
func selectionError(pipeline string, err error) error {
	var told *source.SelectionError
	if !errors.As(err, &told) {
		return err
	}
	path := "pipelines." + pipeline + ".tables." + string(told.Table) + "."
	if told.List == "departments" {
		return &config.Error{Path: path + told.List, Problem: told.Problem}
	}
	e := &config.Error{Path: path + "columns." + told.List, Problem: told.Name + " " + told.Problem}
	if told.Known != nil {
		e.Fix = cmp.Or(config.Suggest(told.Name, told.Known), "`deskhouse schema "+string(told.Table)+"` lists them")
	} else {
		e.Fix = "remove it from the list"
	}
	return e
}

// checkSelections refuses selections that the tables cannot have, which the
// configuration's own checks do not know.
func checkSelections(file string, cfg *config.Config) error {
	var wrong []error
	for _, name := range sortedKeys(cfg.Pipelines) {
		_, err := masksOf(name, cfg.Pipelines[name])
		for _, e := range config.Errors(err) {
			e.File = file
			wrong = append(wrong, e)
		}
	}
	return errors.Join(wrong...)
}
