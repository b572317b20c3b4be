package operate

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

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

// valid reports whether an identity can be a proxy's, and be shown.
func (i Identity) valid() bool {
	for _, name := range i.Clients {
		if relay.CheckName(name) != nil {
			return false
		}
	}
	return i.Program == Program && shownVersion.MatchString(i.Version)
}

var shownVersion = regexp.MustCompile(`^[ -~]{0,200}$`)

const (
	// maxIdentity bounds what is read of an answer, in bytes: names of some hundred clients.
	maxIdentity = 64 << 10

	// askTimeout bounds the wait for what has the port. It is on this computer.
	askTimeout = 5 * time.Second
)

// localHosts are the addresses that "localhost" may be to an editor.
var localHosts = []string{"127.0.0.1", "::1"}

// Ask asks the proxy on a port of this computer what it is, at each address that an editor
// may use. With a secret, the identity is that of a proxy which has proved to know it; the
// secret itself is not sent. Without one nothing is proved, but a proxy that the system shows
// to be another user's is not taken for one.
//
// The error is a [*StrangerError] if something else listens at one of the addresses, and a
// [*net.OpError] of "dial" if nothing listens at any.
func Ask(ctx context.Context, port int, secret string) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	type answer struct {
		Identity
		err error
	}
	answers := make([]chan answer, len(localHosts))
	for i, host := range localHosts {
		answers[i] = make(chan answer, 1)
		go func() {
			it, err := askAt(ctx, net.JoinHostPort(host, strconv.Itoa(port)), secret)
			answers[i] <- answer{it, err}
		}()
	}
	var proxy, nothing *answer
	for i := range answers {
		switch a := <-answers[i]; {
		case a.err == nil && proxy == nil:
			proxy = &a
		case NothingListens(a.err):
			nothing = &a
		case a.err != nil:
			return Identity{}, a.err
		}
	}
	if proxy != nil {
		return proxy.Identity, nil
	}
	return Identity{}, nothing.err
}

// NothingListens reports whether an error of [Ask] says that no connection came about.
func NothingListens(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// askAt asks what listens at one address.
func askAt(ctx context.Context, address, secret string) (Identity, error) {
	e := exchange{secret: secret, address: address, asker: rand.Text()}
	first, err := get(ctx, e, "")
	if err != nil {
		return Identity{}, unanswered(ctx, address, err)
	}
	it, isPlain := first.identity()
	switch {
	case secret == "" && isPlain:
		return it, foreign(address, foreignOwner(address))
	case isPlain:
		return Identity{}, first.stranger(address, NoSecret)
	case secret == "" || first.status != http.StatusOK:
		return Identity{}, first.stranger(address, NoProxy)
	}
	var c challenge
	if json.Unmarshal(first.body, &c) != nil || c.Program != Program || !nonce.MatchString(c.Nonce) {
		return Identity{}, first.stranger(address, NoProxy)
	}
	e.proxy = c.Nonce
	if !e.verify(asProxy, first.body, first.proof) {
		return Identity{}, first.stranger(address, OtherSecret)
	}
	second, err := get(ctx, e, e.prove(asAsker, nil))
	if err != nil {
		return Identity{}, unanswered(ctx, address, err)
	}
	it, isProxy := second.identity()
	if !isProxy || !e.verify(asIdentity, second.body, second.proof) { // it has gone, and another come
		return Identity{}, second.stranger(address, NoProxy)
	}
	return it, nil
}

// foreign returns the error for a proxy without a secret that another user runs: what editors
// send there is that user's to read. Root may run one for everybody.
func foreign(address, owner string) error {
	if owner == "" || owner == "0" {
		return nil
	}
	return &StrangerError{Address: address, Owner: owner, Claim: NoSecret}
}

// unanswered is the error for an address where nothing listens, or something that does not
// answer in HTTP. What that did say is not repeated: it may be anything, of any length.
func unanswered(ctx context.Context, address string, err error) error {
	if NothingListens(err) || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	return &StrangerError{Address: address, Owner: foreignOwner(address), Claim: NoHTTP}
}

// A reply is what was answered at /liveness.
type reply struct {
	status int
	server string
	proof  string
	body   []byte
}

// get asks for /liveness, by no other proxy's way.
func get(ctx context.Context, e exchange, proof string) (reply, error) {
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	to := url.URL{Scheme: "http", Host: e.address, Path: livenessPath}
	if e.secret != "" {
		to.RawQuery = url.Values{nonceParam: {e.asker}}.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return reply{}, err
	}
	if proof != "" {
		r.Header.Set(proofHeader, proof)
	}
	resp, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxIdentity)) // a part of an answer is none
	return reply{resp.StatusCode, resp.Header.Get("Server"), resp.Header.Get(proofHeader), body}, nil
}

// identity returns the identity that a reply gives, if it gives one.
func (r reply) identity() (it Identity, found bool) {
	var c challenge
	if r.status != http.StatusOK || json.Unmarshal(r.body, &c) != nil || c.Nonce != "" {
		return Identity{}, false
	}
	err := json.Unmarshal(r.body, &it)
	return it, err == nil && it.valid()
}

func (r reply) stranger(address string, claim Claim) *StrangerError {
	e := &StrangerError{Address: address, Owner: foreignOwner(address), Server: r.server, Claim: claim}
	if r.status == http.StatusNotFound && strings.HasPrefix(string(r.body), relay.HasSecret) {
		e.Claim = HasSecret
	}
	return e
}

// A Claim is what a listener says that it is, and has not proved.
type Claim int

// Every program can claim any of these.
const (
	NoProxy     Claim = iota
	NoSecret          // a proxy without a secret
	HasSecret         // a proxy with a secret that gives no proof, which older ones cannot
	OtherSecret       // a proxy with another secret than the one that was given
	NoHTTP            // nothing: it gave no answer, or none of HTTP
)

// A StrangerError is the answer of what is no proxy, or has not proved to know the secret
// that was given.
type StrangerError struct {
	Address string // IP and port
	Owner   string // uid of the other user whose it is; "" if it is this user's, or not known
	Server  string // what it calls itself; it may be anything
	Claim   Claim
}

func (e *StrangerError) Error() string {
	owner := ""
	if e.Owner != "" {
		owner = " of the user with uid " + e.Owner
	}
	return e.Address + owner + ": " + e.what()
}

func (e *StrangerError) what() string {
	switch {
	case e.Claim == NoSecret:
		return "it says that it is a berth-proxy without a secret in its addresses"
	case e.Claim == HasSecret:
		return "it says that it is a berth-proxy with a secret in its addresses, and does not prove to know yours: it is an older one, or another program"
	case e.Claim == OtherSecret:
		return "it says that it is a berth-proxy, and has another secret than yours"
	case e.Claim == NoHTTP:
		return "it speaks no HTTP"
	case e.Server != "":
		const shown = 60 // bytes, of a name and a version
		return fmt.Sprintf("it calls itself %q", strings.ToValidUTF8(e.Server[:min(len(e.Server), shown)], ""))
	}
	return "it does not answer as berth-proxy does"
}
