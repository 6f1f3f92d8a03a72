package desksim

import (
	"slices"
	"strings"
)

func (p *Portal) routeFields(rt router) {
	list := params{"module": anyText, "apiNames": atMost(300)}
	rt.get("organizationFields", &endpoint{class: "fields.old", scopes: all("Desk.basic.READ", "Desk.fields.READ"), cost: flat(3), serve: listOldFields,
		params: list.with(params{"departmentId": isID})})
	rt.get("fields", &endpoint{class: "fields.new", scopes: all("Desk.basic.READ", "Desk.fields.READ"), cost: flat(3), serve: listNewFields,
		params: list.with(params{"filter": anyText, "associatedDepartments": isIDList(50)})})
	byID := all("Desk.fields.READ", "Desk.settings.READ")
	rt.get("organizationFields/{id}", &endpoint{class: "fields.old", scopes: byID, cost: flat(1), serve: func(c *call) *apiError { return getField(c, false) }})
	rt.get("fields/{id}", &endpoint{class: "fields.new", scopes: byID, cost: flat(1), serve: func(c *call) *apiError { return getField(c, true) }})
}

func listOldFields(c *call) *apiError { return listFields(c, false) }
func listNewFields(c *call) *apiError { return listFields(c, true) }

// answers tells whether the new or the old resource is there (Config.Fields).
func (p *Portal) answers(newer bool) bool {
	switch p.faults.fieldEndpoints() {
	case NewFields:
		return newer
	case OldFields:
		return !newer
	}
	return true
}

// answersFor tells whether the resource is there and knows the module.
func (p *Portal) answersFor(module string, newer bool) bool {
	modules := oldFieldModules
	if newer {
		modules = newFieldModules
	}
	return p.answers(newer) && slices.Contains(modules, module)
}

// listFields serves both field resources: one module a call, no paging; the record does not say its module.
func listFields(c *call, newer bool) *apiError {
	p := c.p
	module := c.q["module"]
	switch {
	case !p.answers(newer):
		return errNotFound
	case module == "":
		return errMissingQuery("module")
	case !p.answersFor(module, newer):
		return errQuery("module")
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	names := c.q["apiNames"]
	c.listReply(func(add func(func([]byte) []byte)) {
		p.fields.each(func(f *field) {
			if f.module == module && !f.removed && (names == "" || slices.Contains(strings.Split(names, ","), f.apiName)) {
				add(func(b []byte) []byte { return appendField(b, f, newer, false) })
			}
		})
	})
	return nil
}

func getField(c *call, newer bool) *apiError {
	c.p.mu.RLock()
	defer c.p.mu.RUnlock()
	id := c.id
	if seq, ok := kindOldField.seq(id); ok && !newer {
		id = kindField.id(seq)
	}
	f := c.p.fields.rows[id]
	if !c.p.answers(newer) || f == nil || f.removed || f.wireID(newer) != c.id {
		return errNotFound
	}
	c.body = appendField(c.body, f, newer, newer)
	return nil
}

// appendField writes a field in the new shape (OAS Field.json, newest) or the old one (OAS FieldOld.json); whole adds what
// only GET by id has.
func appendField(b []byte, f *field, newer, whole bool) []byte {
	o := openObject(b)
	o.id("id", f.wireID(newer))
	o.plain("apiName", f.apiName)
	o.text("displayLabel", f.label)
	o.text("i18NLabel", f.label)
	o.text("name", f.name)
	o.plain("type", f.kind)
	o.boolean("isCustomField", f.custom)
	o.boolean("isMandatory", f.mandatory)
	o.boolean("isEncryptedField", false)
	o.number("maxLength", f.maxLength)
	if f.module == "tickets" {
		o.boolean("showToHelpCenter", f.custom)
	}
	fieldByType(&o, f, newer)
	if newer {
		fieldNews(&o, f)
	} else {
		o.boolean("isTrackLastActivityTime", false)
	}
	if whole {
		o.ids("associatedDepartments", nil)
	}
	return o.close()
}

// wireID is a field's id in the new resource or in the old one.
func (f *field) wireID(newer bool) uint64 {
	if newer {
		return f.id
	}
	return f.oldID
}

func fieldByType(o *object, f *field, newer bool) {
	switch f.kind {
	case "Picklist", "Multiselect":
		key := "allowedValues"
		if newer {
			key = "pickListValues"
		}
		o.key(key)
		o.b = appendAllowed(o.b, f, !newer && f.apiName == "status")
	case "Boolean":
		o.plain("defaultValue", "false")
	case "Decimal":
		o.number("decimalPlaces", 9)
	case "Currency":
		o.number("decimalPlaces", 2)
		o.plain("roundingOption", "normal")
		o.number("roundingPrecision", 0)
	case "LookUp":
		fieldLookup(o, f)
	}
}

func appendAllowed(b []byte, f *field, withType bool) []byte {
	b = append(b, '[')
	for i, v := range f.values {
		if i > 0 {
			b = append(b, ',')
		}
		o := openObject(b)
		o.text("value", v)
		if withType {
			at := slices.IndexFunc(statuses, func(s status) bool { return s.name == v })
			o.plain("statusType", statuses[max(at, 0)].kind)
		}
		b = o.close()
	}
	return append(b, ']')
}

func fieldLookup(o *object, f *field) {
	o.key("lookup")
	n := openObject(o.b)
	n.plain("onDelete", "SET_NULL")
	n.text("relatedListLabel", f.label)
	n.key("module")
	m := openObject(n.b)
	m.id("id", kindModule.id(uint32(len(f.apiName))))
	m.plain("apiName", strings.TrimSuffix(f.apiName, "Id")+"s")
	m.plain("nameField", "name")
	n.b = m.close()
	o.b = n.close()
}

// fieldNews writes what only the new resource has; times and people are null for system fields.
func fieldNews(o *object, f *field) {
	for _, key := range []string{"isIndexed", "isComputed", "isInternalState", "isBasic", "isIdentifier", "isPresence", "isSortable"} {
		o.boolean(key, !f.custom && key == "isPresence")
	}
	if f.custom {
		o.plain("sourceType", "USERDEFINED")
		o.id("createdBy", kindAgent.id(uint32(f.by)))
		o.id("modifiedBy", kindAgent.id(uint32(f.by)))
	} else {
		o.plain("sourceType", "SYSTEM")
		o.null("createdBy")
		o.null("modifiedBy")
	}
	o.time("createdTime", f.created)
	o.time("modifiedTime", f.modified)
	o.null("toolTip")
	o.null("toolTipType")
	if f.kind == "Picklist" {
		o.plain("subType", "Plain")
	}
}
