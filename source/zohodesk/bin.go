package zohodesk

import (
	"context"
	"encoding/json"
	"net/url"

	"deskhouse/source"
)

func binEndpoint(t source.Table) endpoint {
	return endpoint{name: "recycleBin/" + string(t), path: "recycleBin", limit: 100}
}

// Bin returns one page of the recycle bin of tickets, products or contracts,
// the last deleted first (OAS Recyclebin.json). Purged records and deleted
// spam are not in it. An item whose deletedTime cannot be read has DeletedAt 0
// and is no more than a reason to read the record again; items without an id
// are counted in the log and left out. The length of the page before that is
// not told, so page until an empty page comes or enough is known.
func (c *Client) Bin(ctx context.Context, p source.Priority, t source.Table, offset, limit int) ([]source.BinItem, source.Timing, error) {
	ep := binEndpoint(t)
	if t != source.Tickets && t != source.Products && t != source.Contracts {
		return nil, source.Timing{}, unsupported(ep, "the recycle bin has no "+string(t))
	}
	query := url.Values{"module": {string(t)}, "sortBy": {"-deletedTime"}}
	var items []source.BinItem
	bad := 0
	r, err := c.paged(ctx, p, ep, offset, limit, query, func(body []byte) (err error) {
		items, bad, err = parseBin(body)
		return err
	})
	if err != nil {
		return nil, r.at, err
	}
	if bad > 0 {
		c.log.Warn().Str("table", string(t)).Int("items", bad).Msg("recycle bin items without an id")
	}
	return items, r.at, nil
}

func parseBin(body []byte) (items []source.BinItem, bad int, err error) {
	var page struct {
		Data []struct {
			ID          json.RawMessage `json:"id"`
			DeletedTime json.RawMessage `json:"deletedTime"`
		} `json:"data"`
	}
	if err := decodeJSON(body, &page); err != nil {
		return nil, 0, err
	}
	if page.Data == nil {
		return nil, 0, errNoData
	}
	items = make([]source.BinItem, 0, len(page.Data))
	for _, d := range page.Data {
		id, ok := source.ParseID(string(d.ID))
		if !ok || id == 0 {
			bad++
			continue
		}
		at, _ := source.ParseTime(string(d.DeletedTime))
		items = append(items, source.BinItem{Key: source.Key{ID: id}, DeletedAt: at})
	}
	return items, bad, nil
}
