package identity

import (
	"errors"
	"strings"

	"github.com/berth-mcp/berth/internal/ascii"
)

// maxEmail is the longest e-mail address that RFC 3696 (errata 1690)
// allows, in bytes.
const maxEmail = 254

// errNoEmail is the error of what is not an e-mail address.
var errNoEmail = errors.New("it is not an e-mail address")

// NormalizeEmail returns an e-mail address in lower case, as a [Caller] has it. One
// that has characters other than ASCII is an error: some of them look like ASCII's, and
// some become ASCII's when their case is folded.
func NormalizeEmail(address string) (string, error) {
	if !ascii.Is(address) {
		return "", errors.New("it has characters other than ASCII, which could pass for another's")
	}
	if !plausibleEmail(address) {
		return "", errNoEmail
	}
	return ascii.Lower(address), nil
}

// plausibleEmail is not a judgement of the address, which is the issuer's, but
// keeps what could not be one out of logs and answers.
func plausibleEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || len(s) > maxEmail {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) && !strings.Contains(domain, "@")
}
