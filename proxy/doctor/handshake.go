package doctor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/berth-mcp/berth/proxy/relay"
)

const (
	// maxAnswer bounds what is read of an answer, in bytes. With long instructions, a
	// server's answer to initialize is some kilobytes.
	maxAnswer = 1 << 20

	sessionRevision   = "2025-11-25" // the newest that begins with initialize
	statelessRevision = "2026-07-28"
)

// shakeHands signs in to the server and greets it: in the way of the revisions with
// sessions, then of the one without, then of the oldest, which has only event streams.
func (v *visit) shakeHands(ctx context.Context, sender *relay.Sender) {
	resp, fault := v.post(ctx, sender, initialize, nil)
	if fault != nil {
		v.add(Access, Failed, "%s", fault.Message)
		v.skip("the server is not reached", MCP)
		return
	}
	who := v.token.Account()
	if resp.StatusCode == http.StatusUnauthorized {
		resp.Body.Close()
		v.add(Access, OK, "Cloud Run lets %s in", who)
		v.add(MCP, Skipped, "the server has a login of its own, which the editor begins when it connects")
		return
	}
	v.add(Access, OK, "%s may use it", who)
	defer resp.Body.Close()
	if answer, err := readAnswer(resp); err == nil && answer.Result.ServerInfo.Name != "" {
		v.add(MCP, OK, "%s speaks MCP %s", answer.server(), answer.Result.ProtocolVersion)
		v.endSession(ctx, sender, resp.Header.Get("Mcp-Session-Id"))
		return
	}
	if answer, err := v.ask(ctx, sender, discover, http.Header{
		"Mcp-Protocol-Version": {statelessRevision}, "Mcp-Method": {"server/discover"},
	}); err == nil && answer.Error == nil {
		v.add(MCP, OK, "%s speaks MCP %s", answer.server(), statelessRevision)
		return
	}
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed {
		if err := v.listen(ctx, sender); err != nil {
			v.add(MCP, Failed, "the server answers %d at /mcp and there is no event stream at /sse (%v): check the path in the URL", resp.StatusCode, err)
			return
		}
		v.add(MCP, OK, "the server speaks MCP 2024-11-05, at /sse alone")
		return
	}
	v.add(MCP, Failed, "the server did not answer as one of MCP does (%d, %q): check the URL, or tell the people who run it", resp.StatusCode, resp.Header.Get("Content-Type"))
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"` + sessionRevision +
	`","capabilities":{},"clientInfo":{"name":"berth-proxy doctor","version":"1"}}}`

const discover = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"` + statelessRevision +
	`","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"berth-proxy doctor","version":"1"}}}}`

func (v *visit) post(ctx context.Context, sender *relay.Sender, body string, header http.Header) (*http.Response, *relay.Fault) {
	all := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	for name, values := range header {
		all[name] = values
	}
	return sender.Send(ctx, v.target, http.MethodPost, v.target.Endpoint("/mcp"), all, []byte(body))
}

func (v *visit) ask(ctx context.Context, sender *relay.Sender, body string, header http.Header) (answer, error) {
	resp, fault := v.post(ctx, sender, body, header)
	if fault != nil {
		return answer{}, errors.New(fault.Message)
	}
	defer resp.Body.Close()
	return readAnswer(resp)
}

// endSession leaves no session behind. A server that keeps none, or does not let it be
// ended, is as well.
func (v *visit) endSession(ctx context.Context, sender *relay.Sender, id string) {
	if id == "" {
		return
	}
	header := http.Header{"Mcp-Session-Id": {id}, "Mcp-Protocol-Version": {sessionRevision}}
	if resp, fault := sender.Send(ctx, v.target, http.MethodDelete, v.target.Endpoint("/mcp"), header, nil); fault == nil {
		resp.Body.Close()
	}
}

// listen waits for the first event of the oldest transport.
func (v *visit) listen(ctx context.Context, sender *relay.Sender) error {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	resp, fault := sender.Send(ctx, v.target, http.MethodGet, v.target.Endpoint("/sse"), http.Header{"Accept": {"text/event-stream"}}, nil)
	if fault != nil {
		return errors.New(fault.Message)
	}
	defer resp.Body.Close()
	if !isEventStream(resp) {
		return fmt.Errorf("%d", resp.StatusCode)
	}
	lines := bufio.NewScanner(io.LimitReader(resp.Body, maxAnswer))
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "event:") && strings.TrimSpace(line[len("event:"):]) == "endpoint" {
			return nil
		}
	}
	return errors.New("an event stream without an endpoint")
}

// An answer is the JSON-RPC response to a greeting.
type answer struct {
	Result struct {
		ProtocolVersion string     `json:"protocolVersion"`
		ServerInfo      serverInfo `json:"serverInfo"`
	} `json:"result"`
	Error *struct {
		Code int `json:"code"`
	} `json:"error"`
}

type serverInfo struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

func (a answer) server() string {
	name := strings.TrimSpace(a.Result.ServerInfo.Name + " " + a.Result.ServerInfo.Version)
	if name == "" {
		return "the server"
	}
	return name
}

// readAnswer reads the message that answers id 1, from a body of JSON or a stream.
func readAnswer(resp *http.Response) (answer, error) {
	body := io.LimitReader(resp.Body, maxAnswer)
	if !isEventStream(resp) {
		var a answer
		return a, json.NewDecoder(body).Decode(&a)
	}
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxAnswer)
	var data []byte
	for lines.Scan() {
		line := lines.Bytes()
		if value, found := bytes.CutPrefix(line, []byte("data:")); found {
			data = append(append(data, bytes.TrimPrefix(value, []byte(" "))...), '\n')
			continue
		}
		if len(line) > 0 || len(data) == 0 {
			continue
		}
		var a struct {
			ID json.Number `json:"id"`
			answer
		}
		if json.Unmarshal(data, &a) == nil && a.ID == "1" {
			return a.answer, nil
		}
		data = nil
	}
	return answer{}, errors.New("the stream ended without an answer")
}

func isEventStream(resp *http.Response) bool {
	mediaType, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && mediaType == "text/event-stream"
}
