package bridge

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/berth-mcp/berth/proxy/relay"
)

// The codes of the JSON-RPC errors that the bridge itself gives, beside those of package
// relay.
const (
	CodeBusy       = -32017 // too many calls are under way
	CodeRefused    = -32018 // the server refused the message, in other words than JSON-RPC's
	CodeLost       = -32019 // the server has lost the session, and it could not be begun anew
	codeServerDrop = -32000 // to the server: the editor will not answer

	// codeHeaderMismatch is what servers of 2026-07-28 say of headers that do not repeat
	// the body.
	codeHeaderMismatch = -32020
)

func busy(client string) *relay.Fault {
	return &relay.Fault{Code: CodeBusy, Status: http.StatusTooManyRequests,
		Message: fmt.Sprintf("%d calls to %s are under way, which is the most at once: wait until one has ended", maxCalls, client)}
}

// overLimit is the fault for a server that asks for more than the proxy does for one.
func overLimit(client string, err error) *relay.Fault {
	return &relay.Fault{Code: relay.CodeTooLarge, Status: http.StatusBadGateway,
		Message: fmt.Sprintf("the server of %s is over a limit of berth-proxy: %v: tell the people who run it", client, err)}
}

func refusedBy(t relay.Target, r *refusal) *relay.Fault {
	if r.status == http.StatusUnauthorized || r.status == http.StatusForbidden {
		return &relay.Fault{Code: CodeRefused, Status: http.StatusBadGateway,
			Message: fmt.Sprintf("the server of %s itself, and not Cloud Run, refused you (%v): it may want a login of its own, for which the editor must be connected by URL to berth-proxy, at /%s/mcp", t.Name, r, t.Name)}
	}
	return &relay.Fault{Code: CodeRefused, Status: http.StatusBadGateway,
		Message: fmt.Sprintf("the server of %s refused the message (%v): check the URL %s, and tell the people who run it if it stays so", t.Name, r, t.URL())}
}

// broken is the fault for an answer that did not come, or not to its end. The call may have
// been carried out.
func broken(client string, err error) *relay.Fault {
	if errors.Is(err, errTooLarge) {
		return &relay.Fault{Code: relay.CodeTooLarge, Status: http.StatusBadGateway,
			Message: fmt.Sprintf("the answer of %s is larger than %d MiB: ask for less at once", client, maxMessage>>20)}
	}
	return &relay.Fault{Code: relay.CodeUnreachable, Status: http.StatusBadGateway,
		Message: fmt.Sprintf("the call to %s was sent, but no answer came (%v): check whether it took effect before you try again", client, err)}
}

// lost is the fault for a session that the server of a target could not take over from
// another. The format goes on from "which" or "and".
func lost(from, to relay.Target, format string, args ...any) *relay.Fault {
	why := fmt.Sprintf("the server of %s has lost the session, as after a restart, and", to.Name)
	if !from.Same(to) {
		why = fmt.Sprintf("the session with %s is over, as it has been replaced by another server, which", to.Name)
	}
	return &relay.Fault{Code: CodeLost, Status: http.StatusBadGateway,
		Message: fmt.Sprintf("%s %s: connect the editor to it again", why, fmt.Sprintf(format, args...))}
}

var errNotServed = errors.New("its server is not served any more, and asked for something in the meantime")

// notServed returns the fault that says that the server is not served any more, or nil.
func notServed(err error) *relay.Fault {
	var f *relay.Fault
	if errors.As(err, &f) && f.NotServed() {
		return f
	}
	return nil
}
