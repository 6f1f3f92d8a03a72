package zohodesk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"deskhouse/source"
)

// Organization is a portal that the authorised user belongs to.
type Organization struct {
	ID          uint64
	CompanyName string
	PortalName  string
	Edition     string // FREE, EXPRESS, PROFESSIONAL, ENTERPRISE, …; live values may be others
	IsDefault   bool
	IsSandbox   bool
}

// Organizations lists the portals of the authorised user, whatever portal the
// connection is for (OAS Organization.json). It needs no org id.
func (c *Client) Organizations(ctx context.Context) ([]Organization, error) {
	var all []Organization
	_, err := c.do(ctx, listOrganizations(&all))
	return all, err
}

func listOrganizations(into *[]Organization) *call {
	return &call{endpoint: "organizations", method: "GET", path: "organizations",
		priority: source.ForReread, weight: weightOfGet, noOrg: true, content: true,
		decode: func(body []byte) (err error) {
			*into, err = parseOrganizations(body)
			return err
		}}
}

// PortalNames lists portals for people: "42 (Zylker), 43 (Zylker Sandbox)".
func PortalNames(all []Organization) string {
	if len(all) == 0 {
		return "none"
	}
	names := make([]string, len(all))
	for i, o := range all {
		names[i] = fmt.Sprintf("%d (%s)", o.ID, o.CompanyName)
	}
	return strings.Join(names, ", ")
}

func parseOrganizations(body []byte) ([]Organization, error) {
	var page struct {
		Data []struct {
			ID          json.RawMessage `json:"id"`
			CompanyName string          `json:"companyName"`
			PortalName  string          `json:"portalName"`
			Edition     string          `json:"edition"`
			IsDefault   bool            `json:"isDefault"`
			IsSandbox   bool            `json:"isSandboxPortal"`
		} `json:"data"`
	}
	if err := decodeJSON(body, &page); err != nil {
		return nil, err
	}
	if page.Data == nil {
		return nil, errNoData
	}
	all := make([]Organization, 0, len(page.Data))
	for _, d := range page.Data {
		id, _ := source.ParseID(string(d.ID))
		all = append(all, Organization{id, d.CompanyName, d.PortalName, d.Edition, d.IsDefault, d.IsSandbox})
	}
	return all, nil
}

// Count returns how many tickets a department has, or the whole portal for
// departmentID 0 (OAS TicketCount.json). Whether archived and trashed ones are
// counted is not documented: it serves progress, not comparisons.
func (c *Client) Count(ctx context.Context, p source.Priority, departmentID uint64) (int64, error) {
	query := url.Values{}
	if departmentID != 0 {
		query.Set("departmentId", formatID(departmentID))
	}
	var count int64
	_, err := c.do(ctx, &call{endpoint: "ticketsCount", method: "GET", path: "ticketsCount", query: query,
		priority: p, weight: weightOfList(0), content: true,
		decode: func(body []byte) (err error) {
			count, err = parseCount(body)
			return err
		}})
	return count, err
}

func parseCount(body []byte) (int64, error) {
	if len(body) == 0 {
		return 0, errEmptyBody
	}
	var reply struct {
		Count json.RawMessage `json:"count"`
	}
	if err := decodeJSON(body, &reply); err != nil {
		return 0, err
	}
	n, ok := source.ParseInt(string(reply.Count))
	if !ok {
		return 0, errors.New(`no readable "count"`)
	}
	return n, nil
}
