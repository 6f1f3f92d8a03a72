package desksim

// routeMyInfo serves the agent who authorised: the first one (OAS Agent.json).
func (p *Portal) routeMyInfo(rt router) {
	rt.get("myinfo", &endpoint{class: "myinfo", scopes: all("Desk.settings.READ", "Desk.basic.READ"), cost: flat(1), serve: func(c *call) *apiError {
		c.body = c.p.appendMyInfo(c.body)
		return nil
	}})
}

// appendMyInfo writes what the call carries without include, the members of OAS's example.
func (p *Portal) appendMyInfo(b []byte) []byte {
	a := p.agentName(0)
	o := openObject(b)
	o.id("id", kindAgent.id(0))
	o.text("name", a.first+" "+a.last)
	o.text("firstName", a.first)
	o.text("lastName", a.last)
	o.plain("emailId", a.email)
	o.plain("status", "ACTIVE")
	o.plain("rolePermissionType", "Admin")
	o.id("roleId", kindAgent.id(1_000_000))
	o.id("profileId", kindAgent.id(1_000_001))
	o.plain("zuid", "10687231")
	o.plain("langCode", "en_US")
	o.plain("countryCode", "en_US")
	o.plain("timeZone", "UTC")
	o.boolean("isConfirmed", true)
	o.boolean("isZiaAgent", false)
	for _, key := range []string{"extn", "mobile", "phone", "aboutInfo"} {
		o.plain(key, "")
	}
	o.null("photoURL")
	for _, key := range []string{"associatedDepartmentIds", "associatedChatDepartmentIds", "channelExpert"} {
		o.raw(key, []byte("[]"))
	}
	return o.close()
}
