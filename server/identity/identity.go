// Package identity answers one question for the rest of the server: who is
// calling?
//
// A [Verifier] reads the caller from an HTTP request, [Require] turns away the
// requests that have none, and [FromContext] tells everything further in. How
// a caller is known is a mode, chosen by the operator and never guessed, so
// that a server cannot fall back to a weaker one; each mode is one Verifier.
//
// This package must not know what a caller may do, nor anything of MCP.
package identity

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Mode names one way of knowing the caller.
type Mode string

// The modes; see [CloudRun], [OIDC] and [Dev].
const (
	ModeCloudRun Mode = "cloudrun"
	ModeOIDC     Mode = "oidc"
	ModeDev      Mode = "dev"
)

// constructors has one entry for each mode.
var constructors = map[Mode]func(Options) (Verifier, error){
	ModeCloudRun: newCloudRun,
	ModeOIDC:     newOIDC,
	ModeDev:      newDev,
}

// Options say how callers are to be known.
type Options struct {
	// Mode is required.
	Mode Mode
	// Getenv reads the environment that the server runs in, which tells a mode
	// whether it may be trusted there. Required.
	Getenv func(string) string
	// OIDC is for ModeOIDC, and must be empty for the others.
	OIDC OIDCConfig
}

// Caller is who sent a request. Who that is, Issuer and Subject say: see
// [Caller.Key].
type Caller struct {
	// Issuer is the URL of who says so, exactly as it was verified; [DevIssuer] in
	// mode dev. Never empty.
	Issuer string
	// Subject is the issuer's own lasting name for the caller, in printable ASCII.
	// Never empty.
	Subject string
	// Email is verified, ASCII and lower case, such as "ada@example.com", and never
	// empty. It is for people to read, and for rules that name addresses. Nothing
	// belongs to it: it may be given to someone else one day.
	Email string
	// ClaimsByEmail reports whether records that name only Email, and no issuer and
	// subject, may be taken for this caller's: no other issuer could have vouched for
	// the address; see [OIDCConfig].LegacyIssuer.
	ClaimsByEmail bool
	// Groups are those that the issuer says the caller is in; see
	// [Issuer.GroupsClaim]. Only mode oidc knows any.
	Groups []string
	// Via is the e-mail of the Google identity that Cloud Run let in, where
	// that is not the caller's own: in mode oidc, the developer on behalf of
	// whose editor's user the call is made.
	Via string
	// Mode is how the caller is known.
	Mode Mode
}

// Same says if another request's caller is this one, known in the same way, through
// the same door, and with the same address and groups, so that what this one may do is
// what the other may.
func (c Caller) Same(other Caller) bool {
	return c.Key() != "" && c.Key() == other.Key() &&
		c.Mode == other.Mode && c.Email == other.Email && c.Via == other.Via &&
		slices.Equal(slices.Sorted(slices.Values(c.Groups)), slices.Sorted(slices.Values(other.Groups)))
}

// Verifier tells who sent a request. Its errors go to the operator's log: they
// say what was wrong with the request and hold no part of a token. An error that
// is [ErrUnavailable] is not the request's fault.
type Verifier interface {
	Verify(*http.Request) (Caller, error)
}

// ErrUnavailable is the error of a verifier that cannot tell who the caller is
// because what it needs for that is out of reach for now.
var ErrUnavailable = errors.New("the caller cannot be verified for now")

// New gives the verifier of a mode. An empty or unknown mode is an error, as
// is a mode that cannot be trusted in the environment that o.Getenv reads.
func New(o Options) (Verifier, error) {
	construct, ok := constructors[o.Mode]
	if !ok {
		return nil, fmt.Errorf("%q is no way of knowing the caller: set one of %s", o.Mode, modeList())
	}
	if o.Mode != ModeOIDC && !o.OIDC.isZero() {
		return nil, fmt.Errorf("issuers are configured, which mode %s does not ask: set mode oidc, or take them out", o.Mode)
	}
	return construct(o)
}

func modeList() string {
	var names []string
	for _, mode := range slices.Sorted(maps.Keys(constructors)) {
		names = append(names, string(mode))
	}
	return strings.Join(names, ", ")
}

type contextKey struct{}

// NewContext returns a context that carries the caller.
func NewContext(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, caller)
}

// FromContext returns the caller that [Require] found; false if the request
// did not pass through it, in which case nothing may be done for it.
func FromContext(ctx context.Context) (Caller, bool) {
	caller, ok := ctx.Value(contextKey{}).(Caller)
	return caller, ok
}
