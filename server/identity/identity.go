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
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Mode names one way of knowing the caller.
type Mode string

// The modes; see [CloudRun] and [Dev].
const (
	ModeCloudRun Mode = "cloudrun"
	ModeDev      Mode = "dev"
)

// constructors has one entry for each mode. getenv reads the environment in
// which the server runs.
var constructors = map[Mode]func(getenv func(string) string) (Verifier, error){
	ModeCloudRun: newCloudRun,
	ModeDev:      newDev,
}

// Caller is who sent a request.
type Caller struct {
	// Email is lower case, such as "ada@example.com", and never empty.
	Email string
	// Subject is the issuer's own lasting name for the caller; an e-mail may
	// be given to someone else one day. Empty where the mode knows none.
	Subject string
	// Mode is how the caller is known.
	Mode Mode
}

// Verifier tells who sent a request. Its errors go to the operator's log: they
// say what was wrong with the request and hold no part of a token.
type Verifier interface {
	Verify(*http.Request) (Caller, error)
}

// New gives the verifier of a mode. An empty or unknown mode is an error, as
// is a mode that cannot be trusted in the environment that getenv reads.
func New(mode Mode, getenv func(string) string) (Verifier, error) {
	construct, ok := constructors[mode]
	if !ok {
		return nil, fmt.Errorf("%q is no way of knowing the caller: set one of %s", mode, modeList())
	}
	return construct(getenv)
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
