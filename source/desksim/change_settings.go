package desksim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// DepartmentChange says what to set on a department; nil members stay.
type DepartmentChange struct {
	Name, Description *string
	Enabled           *bool
}

// AddDepartment creates a department now; an empty name draws one. It tells Department_Add.
func (p *Portal) AddDepartment(name string) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seq := p.departments.nextSeq()
	if name == "" {
		name = deptNames[int(seq)%len(deptNames)] + " " + strconv.Itoa(int(seq))
	}
	d := p.newDepartment(seq, name, p.second())
	d.born = p.Now().UnixMilli()
	p.departments.put(d.id, d)
	p.departmentEvent("Department_Add", nil, d)
	return d.id, nil
}

// UpdateDepartment changes a department; id 0 picks one, an empty change draws one. It tells Department_Update.
func (p *Portal) UpdateDepartment(id uint64, ch DepartmentChange) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := pick(p, &p.departments, id, func(d *department) bool { return d.removedAt == 0 })
	if err != nil {
		return 0, err
	}
	d := *old
	if ch == (DepartmentChange{}) {
		text := "Changed " + strconv.Itoa(p.rng.IntN(1_000_000))
		ch.Description = &text
	}
	if ch.Name != nil {
		d.name, d.portalName = *ch.Name, *ch.Name
	}
	if ch.Description != nil {
		d.description = *ch.Description
	}
	if ch.Enabled != nil {
		d.enabled = *ch.Enabled
	}
	p.departments.put(d.id, &d)
	p.departmentEvent("Department_Update", old, &d)
	return d.id, nil
}

// AddCustomField adds a field to a module ("tickets", "products", …); records have null in it until they are changed. kind
// is one of Text, Number, Decimal, Percent, Currency, Boolean, Date, DateTime, Picklist, Multiselect. There is no event.
func (p *Portal) AddCustomField(module, apiName, label, kind string) (uint64, error) {
	if !slices.Contains(allFieldModules, module) || !strings.HasPrefix(apiName, "cf_") {
		return 0, fmt.Errorf("add custom field %s to %s: %w", apiName, module, ErrNoRecord)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.ContainsFunc(p.custom[module], func(f *field) bool { return f.apiName == apiName || f.label == label }) {
		return 0, fmt.Errorf("add custom field %s to %s: it exists", apiName, module)
	}
	f := newField(p.fields.nextSeq(), module, fieldSpec{apiName, label, kind, ""}, true)
	f.initial = false
	if kind == "Picklist" || kind == "Multiselect" {
		f.values = tagNames
	}
	f.created, f.modified = p.second(), p.second()
	p.putField(f)
	return f.id, nil
}

// RenameField changes a custom field's label, and with it the key of customFields; id 0 picks a field. The caller sees to it
// that labels are unique in a module.
func (p *Portal) RenameField(id uint64, label string) error {
	return p.changeField(id, func(f *field) { f.label = label })
}

// RetypeField changes a custom field's type; values are drawn anew for the new type. id 0 picks a field.
func (p *Portal) RetypeField(id uint64, kind string) error {
	return p.changeField(id, func(f *field) {
		if f.kind = kind; len(f.values) == 0 && (kind == "Picklist" || kind == "Multiselect") {
			f.values = tagNames
		}
	})
}

// RemoveField deletes a custom field: it leaves the metadata and every record; id 0 picks a field.
func (p *Portal) RemoveField(id uint64) error {
	return p.changeField(id, func(f *field) { f.removed, f.removedAt = true, f.modified })
}

func (p *Portal) changeField(id uint64, change func(*field)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := pick(p, &p.fields, id, func(f *field) bool { return f.custom && !f.removed })
	if err != nil {
		return err
	}
	f := *old
	f.modified = p.second()
	change(&f)
	p.putField(&f)
	return nil
}
