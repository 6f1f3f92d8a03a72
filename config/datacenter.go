package config

import (
	"slices"
	"strings"
)

// DataCenters are the canonical names of Zoho's data centres (APIDOC's list of ten, and uk of OAUTH-DC). The hosts that
// belong to a name are in source/zohodesk.
var DataCenters = []string{"us", "eu", "in", "au", "jp", "ca", "sa", "sg", "ae", "cn", "uk"}

// dataCenterDomains maps the endings that do not read like the name.
var dataCenterDomains = map[string]string{"com": "us", "com.au": "au", "com.cn": "cn"}

// NormalizeDataCenter returns the canonical name for a name in any usual form: "EU", ".eu", "com.au", "zoho.eu",
// "zohocloud.ca", "desk.zoho.in" or "https://accounts.zoho.com.cn/". It returns false when none is meant.
func NormalizeDataCenter(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	s = strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
	s = strings.TrimSuffix(s, "/")
	for _, prefix := range []string{"accounts.", "desk.", "zoho.", "zohocloud.", "."} {
		s = strings.TrimPrefix(s, prefix)
	}
	if name, ok := dataCenterDomains[s]; ok {
		return name, true
	}
	return s, slices.Contains(DataCenters, s)
}
