package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/berth-mcp/berth/internal/plaintext"
)

// The revisions of the protocol in which something changed that the bridge has to do.
// Revisions are dates, in order as text.
const (
	revisionHeader    = "2025-06-18" // the negotiated revision is named in a header
	revisionStateless = "2026-07-28" // no handshake, no sessions; each request names its revision
)

const (
	methodInitialize  = "initialize"
	methodInitialized = "notifications/initialized"
	methodCancelled   = "notifications/cancelled"
	methodListen      = "subscriptions/listen"
	methodListTools   = "tools/list"
	methodSetLevel    = "logging/setLevel"
	methodSubscribe   = "resources/subscribe"
	methodUnsubscribe = "resources/unsubscribe"

	methodCallTool     = "tools/call"
	methodGetPrompt    = "prompts/get"
	methodReadResource = "resources/read"
)

// A message is one JSON-RPC message, as it came, with what the bridge has to know of it.
type message struct {
	raw    []byte // without line breaks
	id     jsonrpc.ID
	method string // "" of a response
	params json.RawMessage

	result json.RawMessage // of a response
	failed bool            // a response that tells of an error

	revision string     // that the message itself names
	name     string     // of the tool, prompt or resource that it is about
	cancels  jsonrpc.ID // the request that a cancellation is about
}

func (m message) isResponse() bool { return m.method == "" }
func (m message) isCall() bool     { return m.method != "" && m.id.IsValid() }
func (m message) isStateless() bool {
	return m.revision >= revisionStateless
}

var errNotJSON = errors.New("it is not JSON")

// parse peeks into one message.
func parse(raw []byte) (message, error) {
	if !json.Valid(raw) { // DecodeMessage takes no notice of what follows the message
		return message{}, errNotJSON
	}
	decoded, err := jsonrpc.DecodeMessage(raw)
	if err != nil {
		return message{}, err
	}
	m := message{raw: oneLine(raw)}
	switch decoded := decoded.(type) {
	case *jsonrpc.Response:
		m.id, m.result, m.failed = decoded.ID, decoded.Result, decoded.Error != nil
	case *jsonrpc.Request:
		if decoded.Method == "" {
			return message{}, errors.New("the method is empty")
		}
		m.id, m.method, m.params = decoded.ID, decoded.Method, decoded.Params
		m.peekAtParams()
	}
	return m, nil
}

func (m *message) peekAtParams() {
	var params struct {
		Meta struct {
			Revision string `json:"io.modelcontextprotocol/protocolVersion"`
		} `json:"_meta"`
		Name      string `json:"name"`
		URI       string `json:"uri"`
		RequestID any    `json:"requestId"`
	}
	_ = json.Unmarshal(m.params, &params)            // what is not as it should be is for the server to refuse
	if fieldName.MatchString(params.Meta.Revision) { // or it could be no header
		m.revision = params.Meta.Revision
	}
	switch m.method {
	case methodCallTool, methodGetPrompt:
		m.name = params.Name
	case methodReadResource, methodSubscribe, methodUnsubscribe:
		m.name = params.URI
	case methodCancelled:
		if id, err := jsonrpc.MakeID(params.RequestID); err == nil {
			m.cancels = id
		}
	}
}

// split returns the messages of a batch, or the one message that there is.
func split(raw []byte) ([]json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '[' {
		return []json.RawMessage{raw}, nil
	}
	if !json.Valid(raw) {
		return nil, errNotJSON
	}
	var batch []json.RawMessage
	elements := json.NewDecoder(bytes.NewReader(raw))
	_, _ = elements.Token() // the bracket
	for elements.More() {
		if len(batch) == maxBatch {
			return nil, errBatch
		}
		var one json.RawMessage
		if err := elements.Decode(&one); err != nil {
			return nil, err
		}
		batch = append(batch, one)
	}
	return batch, nil
}

var errBatch = fmt.Errorf("a batch has more than %d messages", maxBatch)

// isLong reports whether an id takes more than can be kept of many.
func isLong(id jsonrpc.ID) bool {
	text, isText := id.Raw().(string)
	return isText && len(text) > maxID
}

// oneLine takes out line breaks, which stand only between the tokens of JSON.
func oneLine(raw []byte) []byte {
	if !bytes.ContainsAny(raw, "\r\n") {
		return raw
	}
	var line bytes.Buffer
	if json.Compact(&line, raw) != nil {
		return raw // it has been decoded, so that it is JSON
	}
	return line.Bytes()
}

// errorReply is the response that tells of an error. The zero id is encoded as null, which
// is for what has no id that could be read.
func errorReply(id jsonrpc.ID, code int, text string) []byte {
	details, err := json.Marshal(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{code, plaintext.Line(text)})
	if err != nil {
		panic(err) // a number and a string
	}
	return errorReplyRaw(id, details)
}

// errorReplyRaw has the error as a server gave it.
func errorReplyRaw(id jsonrpc.ID, details json.RawMessage) []byte {
	var reply bytes.Buffer
	enc := json.NewEncoder(&reply)
	enc.SetEscapeHTML(false) // for whoever shows the raw answer
	err := enc.Encode(struct {
		Version string          `json:"jsonrpc"`
		ID      any             `json:"id"`
		Error   json.RawMessage `json:"error"`
	}{"2.0", id.Raw(), details})
	if err != nil {
		panic(err) // details have been decoded
	}
	return bytes.TrimSuffix(reply.Bytes(), []byte("\n"))
}

// request encodes a message of the bridge's own. Without an id it is a notification.
func request(id jsonrpc.ID, method string, params json.RawMessage) message {
	raw, err := jsonrpc.EncodeMessage(&jsonrpc.Request{ID: id, Method: method, Params: params})
	if err != nil {
		panic(err) // params have been decoded
	}
	m := message{raw: raw, id: id, method: method, params: params}
	m.peekAtParams()
	return m
}
