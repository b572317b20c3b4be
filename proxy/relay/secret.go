package relay

import (
	"crypto/subtle"
	"errors"
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

// holdsSecret reports whether a request's path begins with the secret, if there is one.
// Loopback is open to every user of the computer: the secret is what they do not know.
func (s *Relay) holdsSecret(r *http.Request) bool {
	if s.prefix == "" {
		return true
	}
	_, path := splitDocument(r.URL.EscapedPath())
	if len(path) <= len(s.prefix) || path[len(s.prefix)] != '/' {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(path[:len(s.prefix)]), []byte(s.prefix)) == 1
}

// belowSecret is the request as the proxy's own pages have it.
func (s *Relay) belowSecret(r *http.Request) *http.Request {
	if s.prefix == "" {
		return r
	}
	below := *r
	below.URL = new(url.URL)
	*below.URL = *r.URL
	below.URL.Path = strings.TrimPrefix(r.URL.Path, s.prefix)
	below.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, s.prefix)
	return &below
}
