package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/berth-mcp/berth/proxy/operate"
)

// checkProxy tells whether the proxy is where the editors look for it, and which of the
// clients it does not serve.
func (d *Doctor) checkProxy(ctx context.Context) []Result {
	me, err := operate.Ask(ctx, d.Port, d.Secret)
	if operate.NothingListens(err) {
		return []Result{{Check: Proxy, Status: Warning,
			Message: fmt.Sprintf("nothing listens on port %d: start berth-proxy for editors that use a URL", d.Port)}}
	}
	if err != nil {
		return []Result{{Check: Proxy, Status: Failed, Message: d.otherThanProxy(err)}}
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

// otherThanProxy tells what is on the port. It changes nothing, and so leaves it to the
// developer to have another secret made.
func (d *Doctor) otherThanProxy(err error) string {
	what := d.whatListens(err)
	if d.Secret == "" {
		return what
	}
	whose := "if that was not yours, it"
	var stranger *operate.StrangerError
	if errors.As(err, &stranger) && stranger.Owner != "" {
		whose = "it is run by another user (uid " + stranger.Owner + "), who"
	}
	return what + fmt.Sprintf("; %s may have got the secret from your editors: remove %s, start berth-proxy, which makes another, and connect the editors again with berth-proxy install", whose, d.SecretFile)
}

func (d *Doctor) whatListens(err error) string {
	var stranger *operate.StrangerError
	switch {
	case !errors.As(err, &stranger): // the check was cancelled
		return fmt.Sprintf("what listens on port %d is not known: %v", d.Port, err)
	case stranger.Claim == operate.NoSecret && d.Secret == "":
		return fmt.Sprintf("what listens on port %d is run by another user (uid %s), who gets what your editors send there: choose another port with --port, or connect the editors with `berth-proxy install EDITOR --stdio`", d.Port, stranger.Owner)
	case stranger.Claim == operate.HasSecret && d.Secret == "":
		return fmt.Sprintf("the berth-proxy on port %d has a secret in its addresses, and none is set here: give --path-secret here as you gave it there", d.Port)
	case stranger.Claim == operate.HasSecret:
		return fmt.Sprintf("what listens on port %d is an older berth-proxy, or another program: it does not prove that it knows your secret: stop it, and start berth-proxy of this version", d.Port)
	case stranger.Claim == operate.OtherSecret:
		return fmt.Sprintf("the berth-proxy on port %d has another secret in its addresses than the one that is set here, or is another program: stop it, and start berth-proxy with the --config that you give here", d.Port)
	case stranger.Claim == operate.NoSecret:
		return fmt.Sprintf("the berth-proxy on port %d has no secret in its addresses, or is another program: start it again with --path-secret, or leave that out here", d.Port)
	}
	return fmt.Sprintf("what listens on port %d is not berth-proxy (%v): stop that, or choose another port with --port", d.Port, stranger)
}
