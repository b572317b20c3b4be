package relay

import (
	"bytes"
	"encoding/json"
)

// A message is what the proxy reads of a JSON-RPC message.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
}

// readMessages returns the messages in a request body: one, or those of a batch. It returns
// none if the body cannot be read.
func readMessages(body []byte) (messages []message, batch bool) {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		if json.Unmarshal(body, &messages) != nil {
			return nil, true
		}
		return messages, true
	}
	messages = make([]message, 1)
	if json.Unmarshal(body, &messages[0]) != nil {
		return nil, false
	}
	return messages, false
}

// callIDs returns the ids of the calls in a request body, as they are written there:
// messages with a method and an id, alone or in a batch.
func callIDs(body []byte) (ids []json.RawMessage, batch bool) {
	messages, batch := readMessages(body)
	for _, m := range messages {
		if m.Method != "" && len(m.ID) > 0 && string(m.ID) != "null" {
			ids = append(ids, m.ID)
		}
	}
	return ids, batch
}
