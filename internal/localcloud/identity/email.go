package identity

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/berth-mcp/berth/internal/ascii"
)

// maxEmail is the longest address of RFC 5321, in bytes.
const maxEmail = 254

var emailPattern = regexp.MustCompile(`^[a-z0-9._%+'-]+@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

// normalize lower-cases an address, since Google treats addresses that differ
// in case alone as one.
func normalize(email string) (string, error) {
	lower := ascii.Lower(email)
	if len(lower) > maxEmail || !emailPattern.MatchString(lower) {
		return "", fmt.Errorf("%.80q is not an e-mail address: give one such as ana@example.com", email)
	}
	return lower, nil
}

func normalizePair(a, b string) (string, string, error) {
	a, errA := normalize(a)
	b, errB := normalize(b)
	return a, b, errors.Join(errA, errB)
}
