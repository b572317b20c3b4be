package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/berth-mcp/berth/proxy/operate"
)

// localTimeout bounds the wait for the proxy on this computer.
const localTimeout = 5 * time.Second

// checkProxy tells whether the proxy is where the editors look for it, and which of the
// clients it does not serve.
func (d *Doctor) checkProxy(ctx context.Context) []Result {
	ctx, cancel := context.WithTimeout(ctx, localTimeout)
	defer cancel()
	me, err := operate.Ask(ctx, d.Port, d.Secret)
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

// otherThanProxy tells what is on the port.
func (d *Doctor) otherThanProxy(ctx context.Context, err error) string {
	var stranger *operate.StrangerError
	switch {
	case !errors.As(err, &stranger):
		return fmt.Sprintf("what listens on port %d is not berth-proxy (it speaks no HTTP): stop that, or choose another port with --port", d.Port)
	case stranger.HasSecret:
		return fmt.Sprintf("the berth-proxy on port %d has a secret in its addresses, and not the one that is set here: give --path-secret here as you gave it there", d.Port)
	}
	if d.Secret != "" {
		if _, err := operate.Ask(ctx, d.Port, ""); err == nil {
			return fmt.Sprintf("the berth-proxy on port %d has no secret in its addresses: start it anew with --path-secret, or leave that out here", d.Port)
		}
	}
	return fmt.Sprintf("what listens on port %d is not berth-proxy (%v): stop that, or choose another port with --port", d.Port, stranger)
}
