package zohodesk

import (
	"context"
	"encoding/json"
	"errors"

	"deskhouse/source"
)

// Agent is the agent who gave the consent: what a connection sees is what this
// agent may see.
type Agent struct {
	ID    uint64
	Name  string
	Email string
}

// Me asks who authorised the connection (OAS Agent.json, getMyInfo). It needs
// Desk.settings.READ or Desk.basic.READ.
func (c *Client) Me(ctx context.Context) (Agent, error) {
	var me Agent
	_, err := c.do(ctx, &call{endpoint: "myinfo", method: "GET", path: "myinfo", priority: source.ForReread, weight: weightOfGet, content: true,
		decode: func(body []byte) (err error) {
			me, err = parseAgent(body)
			return err
		}})
	return me, err
}

func parseAgent(body []byte) (Agent, error) {
	var reply struct {
		ID    json.RawMessage `json:"id"`
		Name  string          `json:"name"`
		Email string          `json:"emailId"`
	}
	if err := decodeJSON(body, &reply); err != nil {
		return Agent{}, err
	}
	id, ok := source.ParseID(string(reply.ID))
	if !ok {
		return Agent{}, errors.New(`no readable "id"`)
	}
	return Agent{ID: id, Name: reply.Name, Email: reply.Email}, nil
}
