package source

import (
	"slices"
	"strings"
)

// The catalog: every field of the five resources, from Zoho's OpenAPI files
// (Ticket, Department, Product, Contract, Field, FieldOld, Search) and live
// captures. A field that is not here is not lost: it is kept in _extra.

// Resources lists the five resources in the order they are loaded: what others
// refer to first.
var Resources = []*Resource{fieldResource, departmentResource, productResource, contractResource, ticketResource}

// Lookup returns the resource of a table, nil for an unknown name.
func Lookup(t Table) *Resource {
	for _, r := range Resources {
		if r.Table == t {
			return r
		}
	}
	return nil
}

func content(k Kind, names ...string) []Field { return fieldsOf(Content, k, names) }
func listed(k Kind, names ...string) []Field  { return fieldsOf(Listed, k, names) }
func detail(k Kind, names ...string) []Field  { return fieldsOf(Detail, k, names) }

func fieldsOf(reg Register, k Kind, names []string) []Field {
	fields := make([]Field, len(names))
	for i, n := range names {
		fields[i] = Field{Name: n, Kind: k, Register: reg}
	}
	return fields
}

// objects is an array of objects. Its columns are named by one rule: what one
// element is (singular), then the member in the plural; a member that names the
// element itself ("skillId") does not repeat it.
func objects(reg Register, name, singular string, elements ...Element) []Field {
	for i, e := range elements {
		elements[i].Column = singular + "_" + strings.TrimPrefix(snake(e.Name), singular+"_") + "s"
	}
	return []Field{{Name: name, Kind: KindObjects, Register: reg, Elements: elements}}
}

func optional(fields []Field) []Field {
	for i := range fields {
		fields[i].Optional = true
	}
	return fields
}

func foreign(fields []Field) []Field {
	for i := range fields {
		fields[i].Foreign = true
	}
	return fields
}

func join(groups ...[]Field) []Field {
	var all []Field
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// Tickets: the content register is what GET (zoho-desk OAS Ticket.json), search
// (Search.json) and a webhook payload (WEBHOOKDOC sample: "as in GET") share.
// Objects of others (contact, assignee, product, department, team) come with
// every search row but with GET only on request, so their names stand in the
// listed register while their ids are content.
var ticketResource = newResource(Tickets, "tickets", join(
	content(KindID, "id"),
	content(KindInt, "ticketNumber"),
	content(KindString, "subject"),
	content(KindEnum, "status", "statusType", "priority", "channel", "category", "subCategory", "classification", "language"),
	content(KindString, "email", "phone"),
	content(KindID, "departmentId", "contactId", "accountId", "productId", "assigneeId", "teamId", "layoutId", "slaId"),
	content(KindTime, "createdTime", "modifiedTime", "closedTime", "dueDate", "responseDueDate", "onholdTime", "customerResponseTime"),
	content(KindID, "createdBy", "modifiedBy"),
	content(KindInt, "threadCount", "commentCount"),
	content(KindBool, "isSpam", "isArchived", "isOverDue", "isEscalated"),
	content(KindText, "description", "resolution"),
	foreign(content(KindString, "webUrl")),
	content(KindIDs, "entitySkills", "secondaryContacts"),
	objects(Content, "sharedDepartments", "shared_department",
		Element{Name: "id", Kind: KindID}, Element{Name: "name", Kind: KindString, Foreign: true}, Element{Name: "type", Kind: KindEnum}),
	content(KindCustom, "cf"),

	listed(KindEnum, "relationshipType"),
	listed(KindEnum, "lastThread.channel", "lastThread.direction"),
	listed(KindBool, "lastThread.isDraft", "lastThread.isForward"),
	listed(KindInt, "childTicketCount"),
	foreign(optional(listed(KindID, "contact.id"))),
	foreign(optional(listed(KindString, "contact.firstName", "contact.lastName", "contact.email", "contact.phone", "contact.mobile"))),
	foreign(optional(listed(KindEnum, "contact.type"))),
	foreign(optional(listed(KindBool, "contact.isSpam"))),
	foreign(optional(listed(KindID, "contact.account.id"))),
	foreign(optional(listed(KindString, "contact.account.accountName", "contact.account.website"))),
	foreign(optional(listed(KindID, "product.id"))),
	foreign(optional(listed(KindString, "product.productName"))),
	foreign(optional(listed(KindID, "assignee.id"))),
	foreign(optional(listed(KindString, "assignee.firstName", "assignee.lastName", "assignee.email", "assignee.emailId", "assignee.zuid", "assignee.photoURL"))),
	foreign(optional(listed(KindID, "department.id"))),
	foreign(optional(listed(KindString, "department.name"))),
	foreign(optional(listed(KindID, "team.id"))),
	foreign(optional(listed(KindString, "team.name", "team.logoUrl"))),
	foreign(optional(listed(KindBool, "isRead"))),
	optional(listed(KindEnum, "subStatus", "statusText")),

	detail(KindEnum, "channelCode", "sentiment"),
	detail(KindString, "source.appName", "source.extId", "source.type", "source.permalink", "source.appPhotoURL", "source.uuid"),
	detail(KindInt, "approvalCount", "timeEntryCount", "taskCount", "attachmentCount", "tagCount", "followerCount"),
	detail(KindBool, "isResponseOverdue", "isDeleted", "isTrashed"),
	foreign(optional(detail(KindBool, "isFollowing"))),
	detail(KindID, "layoutDetails.id"),
	detail(KindString, "layoutDetails.layoutName"),
	detail(KindString, "channelRelatedInfo.topicId", "channelRelatedInfo.forumStatus", "channelRelatedInfo.sourceLink", "channelRelatedInfo.topicType"),
	detail(KindBool, "channelRelatedInfo.isTopicDeleted"),
	optional(detail(KindID, "sourceTicket.id")),
	optional(detail(KindString, "sourceTicket.subject")),
	optional(detail(KindID, "contractId")),
	optional(detail(KindTime, "lockedTime", "lastActivityTime")),
	optional(objects(Detail, "skillsInfo", "skill",
		Element{Name: "skillId", Kind: KindID}, Element{Name: "skillName", Kind: KindString},
		Element{Name: "skillTypeId", Kind: KindID}, Element{Name: "skillTypeName", Kind: KindString},
		Element{Name: "weightage", Kind: KindInt}, Element{Name: "mappingType", Kind: KindEnum})),
	optional(detail(KindJSON, "descAttachments", "firstThread")),
))

// Departments have no modifiedTime and no delete call (zoho-desk OAS
// Department.json); the list carries all but the agents.
var departmentResource = newResource(Departments, "departments", join(
	content(KindID, "id"),
	content(KindString, "name", "nameInCustomerPortal", "sanitizedName", "description"),
	content(KindBool, "isEnabled", "isDefault", "isVisibleInCustomerPortal", "isAssignToTeamEnabled", "hasLogo"),
	content(KindEnum, "chatStatus"),
	content(KindID, "creatorId"),
	content(KindTime, "createdTime"),
	detail(KindIDs, "associatedAgentIds"),
))

// Products: search returns the GET set but isDeleted and layoutDetails
// (zoho-desk OAS Product.json, Search.json).
var productResource = newResource(Products, "products", join(
	content(KindID, "id"),
	content(KindString, "productName", "productCode"),
	content(KindDecimal, "unitPrice"),
	content(KindText, "description"),
	content(KindEnum, "productCategory", "manufacturer"),
	content(KindID, "ownerId", "layoutId", "createdBy", "modifiedBy"),
	content(KindIDs, "departmentIds"),
	content(KindTime, "createdTime", "modifiedTime"),
	content(KindCustom, "cf"),

	detail(KindBool, "isDeleted"),
	detail(KindID, "layoutDetails.id"),
	detail(KindString, "layoutDetails.layoutName"),
	// owner_id was text in format 1, and a column never changes its type.
	[]Field{{Name: "owner.id", Column: "owner_agent_id", Kind: KindID, Register: Detail, Foreign: true, Optional: true}},
	foreign(optional(detail(KindString, "owner.name", "owner.firstName", "owner.lastName", "owner.photoURL"))),
	foreign(optional(objects(Detail, "departments", "department", Element{Name: "id", Kind: KindID}, Element{Name: "name", Kind: KindString}))),
))

// Contracts: the list carries no times (zoho-desk OAS Contract.json), so a
// list row is only a hint and GET is the content.
var contractResource = newResource(Contracts, "contracts", join(
	content(KindID, "id"),
	content(KindString, "contractName", "contractNumber"),
	content(KindEnum, "contractStatus"),
	content(KindText, "description"),
	content(KindID, "accountId", "productId", "associatedSLAId", "departmentId", "ownerId", "layoutId", "createdBy", "modifiedBy"),
	content(KindDate, "startDate", "endDate", "notifyOn"),
	content(KindInt, "notifyBefore"),
	content(KindIDs, "notificationAgentIds"),
	content(KindTime, "createdTime", "modifiedTime"),
	optional(content(KindID, "supportPlan.id")),
	content(KindCustom, "cf"),

	optional(listed(KindID, "associatedSupportPlanId")),
	foreign(optional(listed(KindID, "department.id"))),
	foreign(optional(listed(KindString, "department.name"))),

	foreign(optional(detail(KindID, "account.id"))),
	foreign(optional(detail(KindString, "account.accountName", "account.website"))),
	foreign(optional(detail(KindID, "product.id"))),
	foreign(optional(detail(KindString, "product.productName"))),
	foreign(optional(detail(KindID, "sla.id"))),
	foreign(optional(detail(KindString, "sla.name"))),
	foreign(optional(detail(KindID, "owner.id"))),
	foreign(optional(detail(KindString, "owner.name", "owner.photoURL"))),
	foreign(optional(detail(KindString, "supportPlan.name"))),
	foreign(optional(detail(KindEnum, "supportPlan.supportType", "supportPlan.status"))),
))

// Organization fields: old /organizationFields and new /fields differ in many
// keys, so only the shared ones are required (zoho-desk OAS FieldOld.json,
// Field.json). The record does not name its module; the key does.
var fieldResource = newResource(OrganizationFields, "", join(
	content(KindID, "id"),
	content(KindString, "apiName", "displayLabel"),
	content(KindEnum, "type"),
	[]Field{{Name: "i18NLabel", Column: "i18n_label", Kind: KindString, Optional: true}},
	optional(content(KindString, "name")),
	optional(content(KindBool, "isCustomField", "isMandatory", "isEncryptedField", "isTrackLastActivityTime", "showToHelpCenter")),
	optional(content(KindInt, "maxLength", "decimalPlaces", "roundingPrecision")),
	optional(content(KindString, "defaultValue")),
	optional(content(KindEnum, "roundingOption", "sourceType", "subType", "toolTipType")),
	optional(content(KindString, "toolTip")),
	optional(content(KindBool, "isIndexed", "isComputed", "isInternalState", "isBasic", "isIdentifier", "isPresence", "isSortable")),
	optional(content(KindID, "createdBy", "modifiedBy")),
	optional(content(KindTime, "createdTime", "modifiedTime")),
	optional(objects(Content, "allowedValues", "allowed_value", Element{Name: "value", Kind: KindString}, Element{Name: "statusType", Kind: KindEnum})),
	optional(objects(Content, "pickListValues", "pick_list_value", Element{Name: "value", Kind: KindString})),
	optional(content(KindEnum, "lookup.onDelete")),
	optional(content(KindString, "lookup.relatedListLabel", "lookup.module.apiName", "lookup.module.nameField")),
	optional(content(KindID, "lookup.module.id")),
	optional(content(KindString, "lookupProperties.relatedModule", "lookupProperties.nameFieldInRelatedModule", "lookupProperties.labelInRelatedModule")),
	optional(content(KindInt, "lookupProperties.onDelete")),
	optional(content(KindBool, "properties.translatable")),
	// associated_departments was JSON text in format 1.
	[]Field{{Name: "associatedDepartments", Column: "associated_department_ids", Kind: KindIDs, Register: Detail, Optional: true}},
))

// TellsLife reports whether a GET of the table says that a record is in the
// recycle bin. Contracts have no such key (Zoho OAS Contract.json): a reply
// says only that the record is not purged.
func (r *Resource) TellsLife() bool {
	return slices.ContainsFunc(r.Fields, func(f Field) bool { return f.Name == "isDeleted" || f.Name == "isTrashed" })
}
