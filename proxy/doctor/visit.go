package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/berth-mcp/berth/proxy/address"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
)

// A visit is what was found on the way to one client's server.
type visit struct {
	target   relay.Target
	token    token.Token
	tokenErr error
	results  []Result

	// How much the server's clock is ahead of this computer's, and whether that is known.
	ahead    time.Duration
	hasClock bool
}

func (v *visit) add(check string, status Status, format string, args ...any) {
	v.results = append(v.results, Result{v.target.Name, check, status, fmt.Sprintf(format, args...)})
}

func (v *visit) skip(why string, checks ...string) {
	for _, check := range checks {
		v.add(check, Skipped, "%s", why)
	}
}

func (d *Doctor) visit(ctx context.Context, t relay.Target) visit {
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	v := visit{target: t}
	sender := relay.NewSender(d.Tokens, d.RootCAs, []relay.Target{t})
	defer sender.Close()
	v.token, v.tokenErr = sender.Token(ctx, t)
	if !v.knock(ctx, sender) {
		v.skip("the server is not reached", Access, MCP)
		return v
	}
	v.shakeHands(ctx, sender)
	return v
}

// login is what the visit tells of the developer's login.
func (v *visit) login() []Result {
	var ended *token.LoginError
	switch {
	case v.tokenErr == nil:
		return []Result{
			{Check: Login, Status: OK, Message: "signed in as " + v.token.Account()},
			{Check: Token, Status: OK, Message: fmt.Sprintf("from %s, good until %s", v.token.Issuer, v.token.Expires.Local().Format(time.DateTime))},
		}
	case errors.As(v.tokenErr, &ended):
		return []Result{
			{Check: Login, Status: Failed, Message: v.tokenErr.Error()},
			{Check: Token, Status: Skipped, Message: "there is no login to get one with"},
		}
	}
	return []Result{
		{Check: Login, Status: Skipped, Message: "whether it is good shows when a token can be asked for"},
		{Check: Token, Status: Failed, Message: v.tokenErr.Error()},
	}
}

// A route is how the connection to a server came about.
type route struct {
	mu        sync.Mutex
	addresses []string // that the name has
	connected string   // the address that answered
}

func (r *route) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSDone: func(info httptrace.DNSDoneInfo) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, a := range info.Addrs {
				r.addresses = append(r.addresses, a.String())
			}
		},
		ConnectDone: func(_, addr string, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if err == nil {
				r.connected = addr
			}
		},
	}
}

// knock finds out whether the server can be reached, and tells what one sees who has no
// token.
func (v *visit) knock(ctx context.Context, sender *relay.Sender) bool {
	var way route
	before := time.Now()
	resp, refused, err := sender.Knock(httptrace.WithClientTrace(ctx, way.trace()), v.target)
	if err != nil {
		v.tellUnreached(&way, err)
		return false
	}
	defer resp.Body.Close()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		v.ahead, v.hasClock = date.Sub(before.Add(time.Since(before)/2)), true
	}
	v.tellReached(&way, resp.TLS)
	if refused {
		v.add(Closed, OK, "who has no login is refused (%d)", resp.StatusCode)
	} else {
		v.add(Closed, Warning, "it answers without a login (%d): if it has no login of its own, tell the people who run it that it is open to everyone", resp.StatusCode)
	}
	return true
}

func (v *visit) tellReached(way *route, state *tls.ConnectionState) {
	way.mu.Lock()
	defer way.mu.Unlock()
	v.tellName(way)
	base := v.target.Endpoint("")
	if corporate := corporateProxy(base); corporate != "" {
		v.add(Reach, OK, "answers by way of the proxy %s", corporate)
	} else {
		v.add(Reach, OK, "answers at %s", way.connected)
	}
	if state == nil {
		v.skip("not used on this computer itself", TLS)
		return
	}
	v.add(TLS, OK, "%s, the certificate of %s is good until %s", tls.VersionName(state.Version),
		base.Hostname(), state.PeerCertificates[0].NotAfter.Local().Format(time.DateOnly))
}

// tellName tells what the server's name leads to, if it was looked up.
func (v *visit) tellName(way *route) {
	base := v.target.Endpoint("")
	corporate := corporateProxy(base)
	switch {
	case corporate != "":
		v.skip("the proxy "+corporate+" looks it up", Name)
	case isAddress(base.Hostname()):
		v.skip("the URL has an address in place of a name", Name)
	case len(way.addresses) == 0:
		v.skip("it was not looked up", Name)
	default:
		v.add(Name, OK, "%s is %s", base.Hostname(), strings.Join(way.addresses, ", "))
	}
}

// tellUnreached tells how far the way led.
func (v *visit) tellUnreached(way *route, err error) {
	way.mu.Lock()
	defer way.mu.Unlock()
	base := v.target.Endpoint("")
	var unknown *net.DNSError
	var certificate *tls.CertificateVerificationError
	var broken tls.RecordHeaderError
	var alert tls.AlertError
	const unreached = "the server is not reached"
	switch {
	case errors.As(err, &unknown):
		v.add(Name, Failed, "%s is not found (%s): check the spelling of the URL, and whether this network resolves names outside", unknown.Name, unknown.Err)
		v.skip(unreached, Reach, TLS, Closed)
	case errors.As(err, &certificate), errors.As(err, &broken), errors.As(err, &alert):
		v.tellName(way)
		v.add(Reach, OK, "answers at %s", way.connected)
		v.add(TLS, Failed, "%s", explainTLS(base.Hostname(), err))
		v.skip(unreached, Closed)
	default:
		v.tellName(way)
		how := "check the network"
		if corporate := corporateProxy(base); corporate != "" {
			how = "check the proxy " + corporate + ", which HTTPS_PROXY names"
		}
		v.add(Reach, Failed, "no answer from %s (%v): %s and the URL", base, err, how)
		v.skip(unreached, TLS, Closed)
	}
}

func explainTLS(host string, err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority):
		return fmt.Sprintf("the certificate of %s is signed by nobody whom this computer trusts: if your organisation inspects traffic, have its authority installed, or name its file with --ca-file", host)
	case errors.As(err, &name):
		return fmt.Sprintf("the certificate is not for %s (%v): check the URL", host, err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the certificate of %s is not good at this computer's time (%v): set the clock, or tell the people who run the server", host, err)
	}
	return fmt.Sprintf("no encrypted connection to %s (%v): check that the URL is one of https, and what stands between here and there", host, err)
}

// corporateProxy is the host of the proxy that requests go by way of; "" for none.
func corporateProxy(to *url.URL) string {
	proxy, err := address.Proxy(&http.Request{URL: to})
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.Host // without a password
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// maxSkew is how far the clocks may be apart. Google accepts five minutes or less where
// it checks times; half of that leaves room.
const maxSkew = 150 * time.Second

// checkClock compares this computer's clock with that of the first server that told its
// own, to the second.
func checkClock(visits []visit) Result {
	for _, v := range visits {
		if !v.hasClock {
			continue
		}
		off, word := v.ahead, "behind"
		if off < 0 {
			off, word = -off, "ahead of"
		}
		if off > maxSkew {
			return Result{Check: Clock, Status: Failed, Message: fmt.Sprintf("this computer's clock is about %.0f minutes %s the server of %s: set it, or tokens are refused", off.Minutes(), word, v.target.Name)}
		}
		return Result{Check: Clock, Status: OK, Message: "agrees with the server of " + v.target.Name}
	}
	return Result{Check: Clock, Status: Skipped, Message: "no server was reached to compare it with"}
}
