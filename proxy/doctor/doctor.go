// Package doctor finds out why an editor does not reach a client's server: it goes the way
// of a call step by step, as the proxy goes it, and tells of each step whether it is well
// and, if not, what to do.
//
// It asks only the servers that the developer has configured, and leaves it to package
// relay to judge their refusals.
package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"slices"
	"sync"
	"time"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/proxy/editors"
	"github.com/berth-mcp/berth/proxy/relay"
)

// A Status is how a check ended.
type Status string

// A Warning is what may be meant so; a check is Skipped if one before it has failed, or if
// it does not apply; Unknown is what cannot be checked on this computer.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Failed  Status = "failed"
	Skipped Status = "skipped"
	Unknown Status = "unknown"
)

// The names of the checks.
const (
	Login  = "login"  // there is one
	Token  = "token"  // the login gives a token
	Clock  = "clock"  // of this computer
	Name   = "name"   // of a server, is known
	Reach  = "reach"  // something answers there
	TLS    = "tls"    // its certificate is good
	Closed = "closed" // it does not answer who has no login
	Access = "access" // it answers the developer
	MCP    = "mcp"    // it speaks the protocol
	Proxy  = "proxy"  // runs here
	Editor = "editor" // leads to it
	Secret = "secret" // of the proxy's addresses: nobody else can read it in an editor's files
)

// A Result is one line of a report.
type Result struct {
	Client  string `json:"client,omitempty"` // whose server; "" for a check of this computer
	Check   string `json:"check"`
	Status  Status `json:"status"`
	Message string `json:"message"` // ends with what to do, if something is to be done
}

// visitTimeout bounds all checks of one client. Cloud Run lets an instance take four
// minutes to start, but a person is waiting.
const visitTimeout = time.Minute

// A Doctor makes checks.
type Doctor struct {
	Tokens  relay.TokenSource
	Targets []relay.Target
	Place   editors.Place  // where the editors' configurations are
	Port    int            // of the proxy that the editors are to lead to
	RootCAs *x509.CertPool // that servers are believed from; nil: the system's
	Version string         // of this program

	Secret     string // of the proxy's paths, or ""
	SecretFile string // where it is
}

// Run makes all checks, those of several clients at once.
func (d *Doctor) Run(ctx context.Context) []Result {
	visits := make([]visit, len(d.Targets))
	var wait sync.WaitGroup
	for i, t := range d.Targets {
		wait.Go(func() { visits[i] = d.visit(ctx, t) })
	}
	wait.Wait()

	var results []Result
	if len(visits) > 0 {
		results = append(results, visits[0].login()...)
		results = append(results, checkClock(visits))
	}
	for _, v := range visits {
		results = append(results, v.results...)
	}
	results = append(results, d.checkProxy(ctx)...)
	results = append(results, d.checkEditors()...)
	return plain(append(results, d.checkSecret()...))
}

// A Report is what was found on the way to one client's server.
type Report struct {
	Account string // who is signed in; "" if nobody is, or if it is not known
	Results []Result
}

// Visit makes the checks of one client's server.
func (d *Doctor) Visit(ctx context.Context, t relay.Target) Report {
	v := d.visit(ctx, t)
	return Report{plaintext.Line(v.token.Email), plain(append(v.login(), v.results...))}
}

// plain keeps each result to its line, whatever servers, editors' files and the program on
// the port have put into it.
func plain(results []Result) []Result {
	for i, r := range results {
		results[i] = Result{plaintext.Line(r.Client), r.Check, r.Status, plaintext.Line(r.Message)}
	}
	return results
}

// badness are the statuses that say something of a whole report, the worst last.
var badness = []Status{OK, Unknown, Warning, Failed}

// Worst is the status of a whole report.
func Worst(results []Result) Status {
	return slices.MaxFunc(append([]Result{{Status: OK}}, results...), func(a, b Result) int {
		return cmp.Compare(slices.Index(badness, a.Status), slices.Index(badness, b.Status))
	}).Status
}
