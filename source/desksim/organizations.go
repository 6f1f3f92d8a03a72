package desksim

import "strconv"

func (p *Portal) routeOrganizations(rt router) {
	scopes := all("Desk.basic.READ|Desk.organization.READ|Desk.settings.READ")
	list := func(c *call) *apiError {
		c.listReply(func(add func(func([]byte) []byte)) { add(c.p.appendOrganization) })
		return nil
	}
	rt.get("organizations", &endpoint{class: "organizations", scopes: scopes, noOrg: true, cost: flat(1), serve: list})
	rt.get("accessibleOrganizations", &endpoint{class: "organizations", scopes: scopes, cost: flat(1), serve: list})
	rt.get("organizations/{id}", &endpoint{class: "organizations", scopes: scopes, cost: flat(1), serve: func(c *call) *apiError {
		if c.id != c.p.cfg.OrgID {
			return errNotFound
		}
		c.body = c.p.appendOrganization(c.body)
		return nil
	}})
}

// appendOrganization writes the portal itself (OAS Organization.json).
func (p *Portal) appendOrganization(b []byte) []byte {
	o := openObject(b)
	o.id("id", p.cfg.OrgID)
	o.plain("companyName", "Zylker")
	o.plain("portalName", "zylker")
	o.plain("portalURL", p.cfg.PublicURL+"/portal/zylker/home")
	o.plain("edition", string(p.cfg.Edition))
	o.boolean("isDefault", true)
	o.boolean("isSandboxPortal", false)
	o.boolean("isAdminInOrg", true)
	o.boolean("isPayloadEncryptionEnabled", false)
	o.plain("primaryContact", agentPerson(0).email)
	o.plain("logoURL", p.cfg.PublicURL+"/api/v1/organizations/"+strconv.FormatUint(p.cfg.OrgID, 10)+"/logo")
	for _, key := range []string{"alias", "city", "country", "currencyCode", "currencyLocale", "currencySymbol", "description", "employeeCount",
		"faviconURL", "fax", "mobile", "phoneNumber", "state", "street", "website", "zip"} {
		o.null(key)
	}
	return o.close()
}
