package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/berth-mcp/berth/proxy/operate"
	"github.com/berth-mcp/berth/proxy/relay"
)

const (
	// localTimeout bounds the wait for the proxy on this computer.
	localTimeout = 5 * time.Second

	// maxIdentity bounds what is read of its answer, in bytes: names of some hundred clients.
	maxIdentity = 64 << 10
)

// checkProxy tells whether the proxy is where the editors look for it, and which of the
// clients it does not serve.
func (d *Doctor) checkProxy(ctx context.Context) []Result {
	me, err := identify(ctx, d.Port, d.Secret)
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return []Result{{Check: Proxy, Status: Warning,
			Message: fmt.Sprintf("nothing listens on port %d: start berth-proxy for editors that use a URL", d.Port)}}
	}
	if err != nil {
		return []Result{{Check: Proxy, Status: Failed, Message: d.otherThanProxy(ctx, err)}}
	}
	r := Result{Check: Proxy, Status: OK, Message: fmt.Sprintf("listens on port %d", d.Port)}
	if me.Version != d.Version {
		r.Status, r.Message = Warning, fmt.Sprintf("listens on port %d, but is of another version (%s) than this one (%s): start it anew", d.Port, me.Version, d.Version)
	}
	results := []Result{r}
	for _, t := range d.Targets {
		if !slices.Contains(me.Clients, t.Name) {
			results = append(results, Result{t.Name, Proxy, Warning,
				fmt.Sprintf("the one on port %d does not serve it: add it with `berth-proxy add %s=%s`, and start the proxy without arguments", d.Port, t.Name, t.URL())})
		}
	}
	return results
}

// identify asks a proxy on this computer what it is.
func identify(ctx context.Context, port int, secret string) (operate.Identity, error) {
	var me operate.Identity
	ctx, cancel := context.WithTimeout(ctx, localTimeout)
	defer cancel()
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // by no other proxy's way
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, relay.LocalURL(port, secret)+"/liveness", nil)
	if err != nil {
		return me, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return me, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxIdentity))
	if err == nil && resp.StatusCode == http.StatusOK && json.Unmarshal(body, &me) == nil && me.Program == operate.Program {
		return me, nil
	}
	return me, &notProxyError{server: resp.Header.Get("Server"), hasSecret: resp.StatusCode == http.StatusNotFound && strings.Contains(string(body), relay.HasSecret)}
}

// A notProxyError is the answer of something else than a proxy that the settings are those of.
type notProxyError struct {
	server    string // that it says it is; it may be anything
	hasSecret bool   // it is a proxy, and has a secret that was not given
}

func (e *notProxyError) Error() string { return "it does not answer as berth-proxy" }

// otherThanProxy tells what is on the port.
func (d *Doctor) otherThanProxy(ctx context.Context, err error) string {
	var not *notProxyError
	errors.As(err, &not)
	if not != nil && not.hasSecret {
		return fmt.Sprintf("the berth-proxy on port %d has a secret in its addresses, and not the one that is set here: give --path-secret here as you gave it there", d.Port)
	}
	if d.Secret != "" {
		if _, err := identify(ctx, d.Port, ""); err == nil {
			return fmt.Sprintf("the berth-proxy on port %d has no secret in its addresses: start it anew with --path-secret, or leave that out here", d.Port)
		}
	}
	who := ""
	if not != nil && not.server != "" {
		const shown = 60 // bytes, of a name and a version
		who = fmt.Sprintf(" (it calls itself %q)", strings.ToValidUTF8(not.server[:min(len(not.server), shown)], ""))
	}
	return fmt.Sprintf("what listens on port %d is not berth-proxy%s: stop that, or choose another port with --port", d.Port, who)
}
