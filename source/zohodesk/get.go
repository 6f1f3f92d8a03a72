package zohodesk

import (
	"context"
	"fmt"

	"deskhouse/source"
)

// Get reads one record by id: tickets, departments, products or contracts, one
// credit each. FaultNotFound is returned only for Zoho's own JSON answer
// URL_NOT_FOUND; any other 404 (a proxy's, a front end's HTML page) is
// FaultRetry. The Timing is the reply's also when the record was not found.
//
// The record's id is not compared with the one asked for: a merged ticket may
// answer with the surviving one, which is the caller's to notice.
func (c *Client) Get(ctx context.Context, p source.Priority, t source.Table, id uint64) (*source.Record, source.Timing, error) {
	if listLimits[t] == 0 {
		return nil, source.Timing{}, unsupported(endpoint{path: string(t)}, "no record of "+string(t)+" can be read by id")
	}
	var rec *source.Record
	r, err := c.do(ctx, &call{
		endpoint: string(t) + "/{id}", method: "GET", path: string(t) + "/" + formatID(id), priority: p, weight: weightOfGet, content: true,
		decode: func(body []byte) (err error) {
			if len(body) == 0 {
				return fmt.Errorf("parse %s record: %w", t, errEmptyBody)
			}
			rec, err = source.ParseRecord(source.Lookup(t), "", body)
			return err
		},
	})
	if err != nil {
		return nil, r.at, err
	}
	return rec, r.at, nil
}
