package desksim

import "strings"

// field is one field of a module's layout, system or custom.
type field struct {
	id, oldID            uint64 // in /fields and in /organizationFields
	module               string
	apiName, label, name string
	kind                 string // Text, Number, … (OAS Field.json)
	custom, mandatory    bool
	initial              bool // generated rows have values for it
	removed              bool
	values               []string
	maxLength            int64
	created, modified    int64
	by                   uint16
	removedAt            int64
}

type fieldSpec struct{ api, label, kind, values string }

// systemFields are the fields every portal has, a selection per module.
var systemFields = map[string][]fieldSpec{
	"tickets": {
		{"subject", "Subject", "Text", ""}, {"status", "Status", "Picklist", "Open|In Progress|Escalated|Waiting on Customer|On Hold|Closed|Resolved – à vérifier"},
		{"priority", "Priority", "Picklist", "Low|Medium|High"}, {"channel", "Channel", "Picklist", "Email|Web|Phone|Chat|Forums|Twitter"},
		{"category", "Category", "Picklist", "general|Billing|Hardware|Software|Versand"}, {"subCategory", "Sub Category", "Picklist", "Sub General|Invoice"},
		{"classification", "Classifications", "Picklist", "Question|Problem|Feature|Others"}, {"description", "Description", "Textarea", ""},
		{"resolution", "Resolution", "Textarea", ""}, {"dueDate", "Due Date", "DateTime", ""}, {"email", "Email", "Email", ""}, {"phone", "Phone", "Phone", ""},
		{"contactId", "Contact Name", "LookUp", ""}, {"accountId", "Account Name", "LookUp", ""}, {"productId", "Product Name", "LookUp", ""},
		{"departmentId", "Department", "LookUp", ""}, {"assigneeId", "Ticket Owner", "LookUp", ""}, {"ticketNumber", "Request Id", "AutoNumber", ""},
		{"createdTime", "Created Time", "DateTime", ""}, {"modifiedTime", "Modified Time", "DateTime", ""}, {"closedTime", "Ticket Closed Time", "DateTime", ""},
		{"language", "Language", "Picklist", "English|German|French|Japanese|Spanish"}, {"isOverDue", "Is Overdue", "Boolean", ""},
	},
	"products": {
		{"productName", "Product Name", "Text", ""}, {"productCode", "Product Code", "Text", ""}, {"unitPrice", "Unit Price", "Currency", ""},
		{"productCategory", "Product Category", "Picklist", "Hardware|Software|Service"}, {"manufacturer", "Manufacturer", "Picklist", "AlphaTech|Nordgerät"},
		{"description", "Description", "Textarea", ""}, {"ownerId", "Product Owner", "LookUp", ""},
	},
	"contracts": {
		{"contractName", "Contract Name", "Text", ""}, {"contractNumber", "Contract Number", "Text", ""}, {"startDate", "Start Date", "Date", ""},
		{"endDate", "End Date", "Date", ""}, {"accountId", "Account Name", "LookUp", ""}, {"description", "Description", "Textarea", ""},
	},
	"contacts":  {{"lastName", "Last Name", "Text", ""}, {"email", "Email", "Email", ""}, {"phone", "Phone", "Phone", ""}, {"accountId", "Account Name", "LookUp", ""}},
	"accounts":  {{"accountName", "Account Name", "Text", ""}, {"website", "Website", "URL", ""}, {"fax", "Fax", "Fax", ""}},
	"tasks":     {{"subject", "Subject", "Text", ""}, {"dueDate", "Due Date", "DateTime", ""}},
	"calls":     {{"subject", "Subject", "Text", ""}, {"startTime", "Call Start Time", "DateTime", ""}},
	"events":    {{"subject", "Title", "Text", ""}, {"startTime", "From", "DateTime", ""}},
	"timeEntry": {{"executedTime", "Executed Time", "DateTime", ""}, {"secondsSpent", "Time Spent", "Number", ""}},
	"agents":    {{"lastName", "Last Name", "Text", ""}, {"emailId", "Email", "Email", ""}},
}

// customFields are the custom fields a portal starts with: every type an analyst meets.
var customFields = map[string][]fieldSpec{
	"tickets": {
		{"cf_region", "Region", "Picklist", "North|South|East|West|Übersee"}, {"cf_tags", "Labels", "Multiselect", "vip|warranty|onsite|épave|beta|fragile"},
		{"cf_serial_number", "Serial Number", "Text", ""}, {"cf_number_of_items", "Number of items", "Number", ""}, {"cf_weight", "Weight kg", "Decimal", ""},
		{"cf_severity_percentage", "Severity Percentage", "Percent", ""}, {"cf_repair_cost", "Repair Cost", "Currency", ""}, {"cf_on_site", "On site", "Boolean", ""},
		{"cf_date_of_purchase", "Date of Purchase", "Date", ""}, {"cf_appointment", "Termin vor Ort", "DateTime", ""},
	},
	"products":  {{"cf_warranty_months", "Warranty Months", "Number", ""}, {"cf_end_of_sale", "End of Sale", "Date", ""}, {"cf_hazardous", "Hazardous", "Boolean", ""}},
	"contracts": {{"cf_cost_center", "Cost Center", "Text", ""}, {"cf_rebate", "Rebate", "Percent", ""}},
	"contacts":  {{"cf_birthday", "Birthday", "Date", ""}},
}

// fieldModules lists the modules each resource answers for (OAS FieldOld.json, Field.json), in the order ids are given.
var (
	allFieldModules = []string{"tickets", "contacts", "accounts", "tasks", "calls", "events", "contracts", "products", "timeEntry", "agents"}
	oldFieldModules = []string{"tickets", "contacts", "accounts", "tasks", "calls", "events", "contracts", "products"}
	newFieldModules = []string{"tickets", "contacts", "accounts", "tasks", "timeEntry", "products", "calls", "events", "contracts", "agents"}
)

// seedFields creates the fields a portal starts with.
func (p *Portal) seedFields() {
	p.custom = map[string][]*field{}
	for _, module := range allFieldModules {
		for _, s := range systemFields[module] {
			p.putField(newField(p.fields.nextSeq(), module, s, false))
		}
		for _, s := range customFields[module] {
			f := newField(p.fields.nextSeq(), module, s, true)
			f.created, f.modified = p.gen.start-threeYears, p.gen.start-threeYears
			p.putField(f)
		}
	}
}

func newField(seq uint32, module string, s fieldSpec, custom bool) *field {
	f := &field{id: kindField.id(seq), module: module, apiName: s.api, label: s.label, name: s.label, kind: s.kind, custom: custom, initial: true, maxLength: 120}
	if s.values != "" {
		f.values = strings.Split(s.values, "|")
	}
	switch s.kind {
	case "Textarea", "LargeText":
		f.maxLength = 65535
	case "Text":
		f.maxLength = 255
	}
	f.mandatory = !custom && (s.api == "subject" || s.api == "productName" || s.api == "contractName")
	return f
}

// putField stores f and rebuilds the list of its module's custom fields.
func (p *Portal) putField(f *field) {
	f.oldID = f.id
	if seq, _ := kindField.seq(f.id); p.cfg.OtherFieldIDs {
		f.oldID = kindOldField.id(seq)
	}
	p.fields.put(f.id, f)
	if !f.custom {
		return
	}
	var list []*field
	p.fields.each(func(x *field) {
		if x.module == f.module && x.custom && !x.removed {
			list = append(list, x)
		}
	})
	p.custom[f.module] = list
}
