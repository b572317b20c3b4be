package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/berth-mcp/berth/proxy/relay"
)

// Program is what a proxy calls itself.
const Program = "berth-proxy"

// An Identity is what a proxy says of itself at /liveness.
type Identity struct {
	Program string   `json:"program"` // [Program]
	Version string   `json:"version"`
	Clients []string `json:"clients"` // that it serves, by name
}

// maxIdentity bounds what is read of an answer, in bytes: names of some hundred clients.
const maxIdentity = 64 << 10

// Ask asks the proxy on a port of this computer what it is. The secret is that of its paths,
// or "". The error is a [*StrangerError] if something else answers.
func Ask(ctx context.Context, port int, secret string) (Identity, error) {
	var it Identity
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // by no other proxy's way
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, relay.LocalURL(port, secret)+"/liveness", nil)
	if err != nil {
		return it, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return it, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxIdentity))
	if err == nil && resp.StatusCode == http.StatusOK && json.Unmarshal(body, &it) == nil && it.Program == Program {
		return it, nil
	}
	return Identity{}, &StrangerError{
		Server:    resp.Header.Get("Server"),
		HasSecret: resp.StatusCode == http.StatusNotFound && strings.HasPrefix(string(body), relay.HasSecret),
	}
}

// A StrangerError is the answer of what is no proxy, or none with the secret.
type StrangerError struct {
	Server    string // what it calls itself; it may be anything
	HasSecret bool   // it is a proxy that has a secret, and not the one that was given
}

func (e *StrangerError) Error() string {
	switch {
	case e.HasSecret:
		return "it is a berth-proxy with another secret in its addresses"
	case e.Server != "":
		const shown = 60 // bytes, of a name and a version
		return fmt.Sprintf("it calls itself %q", strings.ToValidUTF8(e.Server[:min(len(e.Server), shown)], ""))
	}
	return "it does not answer as berth-proxy does"
}
