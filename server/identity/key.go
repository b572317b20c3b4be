package identity

import (
	"errors"
	"fmt"
	"strings"
)

// keySeparator stands between issuer and subject in a key. No issuer has it, as
// none has a fragment (OpenID Connect Discovery 1.0, section 3).
const keySeparator = "#"

const (
	// GoogleIssuer is Google's, and googleIssuerShort is what some of its tokens say
	// instead: https://developers.google.com/identity/openid-connect/openid-connect.
	GoogleIssuer      = "https://accounts.google.com"
	googleIssuerShort = "accounts.google.com"

	// DevIssuer is the issuer of the caller in mode dev.
	DevIssuer = "dev"

	// maxSubject is the most that OpenID Connect Core 1.0, section 2, allows, in bytes.
	maxSubject = 255
)

// Key tells callers apart, for good: two callers with the same key are the same
// person or program, whatever their address is by then. It has the form
// ISSUER#SUBJECT, such as "https://accounts.google.com#117012345678901234567".
//
// It is empty for a Caller that no [Verifier] of this package would make, and nothing
// may belong to that.
func (c Caller) Key() string {
	if c.Issuer == "" || c.Subject == "" || strings.Contains(c.Issuer, keySeparator) {
		return ""
	}
	return c.Issuer + keySeparator + c.Subject
}

// CheckKey says what is wrong with a text that is to be a [Caller.Key].
func CheckKey(key string) error {
	issuer, subject, found := strings.Cut(key, keySeparator)
	if !found {
		return errors.New("write ISSUER#SUBJECT, as the tool whoami gives it, such as " + GoogleIssuer + "#117012345678901234567")
	}
	if issuer == googleIssuerShort {
		return fmt.Errorf("the issuer %q is Google's by its short name: write %s", issuer, GoogleIssuer)
	}
	if why := wrongURL(issuer); why != "" && issuer != DevIssuer {
		return fmt.Errorf("the issuer %q %s: write the iss claim of its tokens", shown(issuer), why)
	}
	return checkSubject(subject)
}

func checkSubject(subject string) error {
	if subject == "" {
		return errors.New("there is no subject")
	}
	if len(subject) > maxSubject {
		return fmt.Errorf("the subject has more than %d bytes", maxSubject)
	}
	if !isPrintable(subject) {
		return errors.New("the subject has characters other than printable ASCII")
	}
	return nil
}

// isPrintable reports whether a text is printable ASCII.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// known completes a caller whose token holds, or says what keeps it from being told
// apart from others.
func known(c Caller) (Caller, error) {
	if c.Issuer == googleIssuerShort {
		c.Issuer = GoogleIssuer
	}
	if c.Issuer == "" || strings.Contains(c.Issuer, keySeparator) {
		return Caller{}, errors.New("the token names no issuer")
	}
	if !isPrintable(c.Issuer) {
		return Caller{}, errors.New("the token's claim iss has characters other than printable ASCII")
	}
	switch err := checkSubject(c.Subject); {
	case c.Subject == "":
		return Caller{}, errors.New("the token names no subject")
	case err != nil:
		return Caller{}, fmt.Errorf("the token's claim sub: %w", err)
	}
	return c, nil
}
