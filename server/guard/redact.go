package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"unicode/utf8"
)

const (
	// Bounds of what a record holds of a call's arguments: bytes of a string,
	// entries of an object or an array, and levels of nesting.
	maxText    = 200
	maxEntries = 20
	maxDepth   = 4

	redacted = "[redacted]"
)

var (
	// secretName matches names of fields that hold secrets.
	secretName = regexp.MustCompile(`(?i)(pass(word|wd|phrase|code)|secret|token|credential|authori[sz]ation|api[-_]?key|private[-_]?key|access[-_]?key|cookie|bearer|^(auth|pin|otp|pwd|key)$)`)

	// secretText matches secrets wherever they are: JWTs, bearer tokens, Google's
	// access and refresh tokens and API keys, GitHub's, Slack's, AWS's and OpenAI-style keys,
	// URLs' passwords, and private keys.
	secretText = regexp.MustCompile(`eyJ[\w-]{8,}\.[\w-]{8,}\.?[\w-]*|(?i:bearer)\s+[\w.~+/=-]{8,}|ya29\.[\w-]+|1//[\w-]{20,}|AIza[\w-]{20,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{16}|sk-[\w-]{16,}|://[^\s/:@]+:[^\s/@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*`)
)

// Redact is what may be kept of the JSON of a call's arguments: fields whose name
// is that of a secret and strings that look like one are replaced, long strings are
// cut, and what is too many or too deep is counted instead. Nil for no arguments;
// for what is not JSON, its length.
func Redact(raw []byte) any {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // a large number stays as it was written
	var value any
	if err := decoder.Decode(&value); err != nil {
		return fmt.Sprintf("%d bytes that are not JSON", len(raw))
	}
	return redact(value, 0)
}

func redact(value any, depth int) any {
	switch v := value.(type) {
	case string:
		return cleaned(v)
	case json.Number:
		return json.Number(cut(v.String()))
	case map[string]any:
		if depth == maxDepth || len(v) > maxEntries {
			return fmt.Sprintf("an object of %d fields", len(v))
		}
		kept := make(map[string]any, len(v))
		for name, field := range v {
			if secretName.MatchString(name) {
				field = redacted
			}
			kept[cleaned(name)] = redact(field, depth+1)
		}
		return kept
	case []any:
		if depth == maxDepth {
			return fmt.Sprintf("an array of %d", len(v))
		}
		kept := make([]any, 0, min(len(v), maxEntries+1))
		for i, element := range v {
			if i == maxEntries {
				kept = append(kept, fmt.Sprintf("and %d more", len(v)-i))
				break
			}
			kept = append(kept, redact(element, depth+1))
		}
		return kept
	default: // a boolean or null
		return v
	}
}

// cleaned is a text without what looks like a secret, cut.
func cleaned(s string) string { return cut(secretText.ReplaceAllString(s, redacted)) }

// cut shortens a text to [maxText] bytes, at a character's end, and says by how
// much.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes more)", s[:end], len(s)-end)
}
