package relay

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// HasSecret is how a proxy with a secret begins its answer to a path without it.
const HasSecret = "this berth-proxy has a secret in its addresses"

// secret is what a path can have in one segment without escapes, and too long to be tried
// out: 16 characters of this alphabet are 96 bits.
var secret = regexp.MustCompile(`^[A-Za-z0-9_-]{16,128}$`)

// CheckSecret tells what is wrong with a secret of the local path. It does not repeat it.
func CheckSecret(s string) error {
	if !secret.MatchString(s) {
		return errors.New("use 16 to 128 of A-Z, a-z, 0-9, _ and -, chosen at random")
	}
	return nil
}

// A gate is the secret of the local path at one time, and what it has let in.
type gate struct {
	prefix    string          // of every local path: a slash and the secret, or ""
	streaming context.Context // done when standing streams must end
	shut      context.CancelFunc
}

func newGate(streaming context.Context, secret string) *gate {
	g := &gate{}
	if secret != "" {
		g.prefix = "/" + secret
	}
	g.streaming, g.shut = context.WithCancel(streaming)
	return g
}

// admits reports whether a request's path begins with the secret, if there is one.
// Loopback is open to every user of the computer: the secret is what they do not know.
func (g *gate) admits(r *http.Request) bool {
	if g.prefix == "" {
		return true
	}
	_, path := splitDocument(r.URL.EscapedPath())
	if len(path) <= len(g.prefix) || path[len(g.prefix)] != '/' {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(path[:len(g.prefix)]), []byte(g.prefix)) == 1
}

// below returns the request as the proxy's own pages have it.
func (g *gate) below(r *http.Request) *http.Request {
	if g.prefix == "" {
		return r
	}
	below := *r
	below.URL = new(url.URL)
	*below.URL = *r.URL
	below.URL.Path = strings.TrimPrefix(r.URL.Path, g.prefix)
	below.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, g.prefix)
	return &below
}

// redact takes the secret out of what is to be logged. It is not always at the begin of a
// path: the documents about a login have it behind their own.
func (g *gate) redact(text string) string {
	if g.prefix == "" {
		return text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, g.prefix+"/", "/"), g.prefix[1:], "[secret]")
}

// Secret is the one that every local path begins with, or "".
func (s *Relay) Secret() string { return strings.TrimPrefix(s.gate.Load().prefix, "/") }

// SetSecret replaces the secret of a relay that has one, with effect on requests from now
// on. Calls under way end by themselves; standing streams that the old secret let in are
// cut, as whoever holds one may not be the developer.
func (s *Relay) SetSecret(secret string) error {
	if err := CheckSecret(secret); err != nil {
		return fmt.Errorf("the secret of the local path: %w", err)
	}
	s.reload.Lock()
	defer s.reload.Unlock()
	if s.Secret() == secret {
		return nil
	}
	s.gate.Swap(newGate(s.streaming, secret)).shut()
	return nil
}

// HandleOutside has the proxy itself answer requests without the secret, where there is one,
// behind the guard that keeps other machines and web pages out. The handler reports whether
// it has answered. It must be set before [Relay.Serve].
func (s *Relay) HandleOutside(handler func(w http.ResponseWriter, r *http.Request) bool) {
	s.outside = handler
}
