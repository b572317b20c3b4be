package plaintext

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxNamed is how many characters an error of [Check] names.
const maxNamed = 5

// Check reports which characters a text may not have in its form, as in
//
//	U+202E (right-to-left override) is not allowed: remove it
//
// The error does not name the field, and does not repeat the text.
func Check(text string, form Form) error {
	var found []string
	seen := map[string]bool{}
	for part, shown := range characters(text, form) {
		if !shown && !seen[part] {
			seen[part] = true
			found = append(found, describe(part))
		}
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return errors.New(found[0] + " is not allowed: remove it")
	}
	if more := len(found) - maxNamed; more > 0 {
		found = append(found[:maxNamed], fmt.Sprintf("%d more", more))
	}
	last := len(found) - 1
	return fmt.Errorf("%s and %s are not allowed: remove them", strings.Join(found[:last], ", "), found[last])
}

func describe(part string) string {
	if !utf8.ValidString(part) {
		return fmt.Sprintf("the byte %#02x (not UTF-8)", part[0])
	}
	r, _ := utf8.DecodeRuneInString(part)
	return fmt.Sprintf("%U (%s)", r, nameOf(r))
}
