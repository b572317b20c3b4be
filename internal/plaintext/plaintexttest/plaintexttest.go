// Package plaintexttest has what an attacker would write, for the tests of everything that
// shows or stores the text of others.
package plaintexttest

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// An Attack is a text that does more than being read.
type Attack struct {
	Name  string
	Text  string
	Shown string // what of it a person sees in its place
	Named string // the character, in an error that refuses it
}

// Hostile are attacks on terminals, and on those who read.
var Hostile = []Attack{
	{"a terminal's title", "\x1b]0;root\x07", `\u001b]0;root\u0007`, "U+001B (escape)"},
	{"a clear screen", "\x1b[2J\x1b[1;1H", `\u001b[2J\u001b[1;1H`, "U+001B (escape)"},
	{"colours", "\x1b[31mfailed\x1b[0m", `\u001b[31mfailed\u001b[0m`, "U+001B (escape)"},
	{"a control sequence of 8 bits", "\u009b2J", `\u009b2J`, "U+009B (control sequence introducer)"},
	{"a link", "\x1b]8;;https://evil.example\x1b\\docs\x1b]8;;\x1b\\", `\u001b]8;;https://evil.example`, "U+001B (escape)"},
	{"the clipboard", "\x1b]52;c;cm0gLXJmIH4=\x07", `\u001b]52;c;cm0gLXJmIH4=\u0007`, "U+001B (escape)"},
	{"a command of 8 bits", "\u009d0;root\u009c", `\u009d0;root\u009c`, "U+009D (operating system command)"},
	{"a device's attributes", "\x1b[c\x1b[6n", `\u001b[c\u001b[6n`, "U+001B (escape)"},
	{"a bell", "ding\x07", `ding\u0007`, "U+0007 (bell)"},
	{"backspaces", "evil\b\b\b\bgood", `evil\u0008\u0008`, "U+0008 (backspace)"},
	{"a line written over", "evil.example\rgood.example", `evil.example\rgood.example`, "U+000D (carriage return)"},
	{"a delete", "a\x7fb", `a\u007fb`, "U+007F (delete)"},
	{"a null", "a\x00b", `a\u0000b`, "U+0000 (null)"},
	{"a next line", "a\u0085b", `a\u0085b`, "U+0085 (next line)"},
	{"a line separator", "a\u2028b", `a\u2028b`, "U+2028 (line separator)"},
	{"a right-to-left override", "gpj.\u202eexe", `gpj.\u202eexe`, "U+202E (right-to-left override)"},
	{"isolates", "a\u2066\u2067b\u2069", `a\u2066\u2067b\u2069`, "U+2066 (left-to-right isolate)"},
	{"direction marks", "a\u200e\u200f\u061cb", `a\u200e\u200f\u061cb`, "U+061C (Arabic letter mark)"},
	{"zero width spaces", "pay\u200bpal\ufeff", `pay\u200bpal\ufeff`, "U+200B (zero width space)"},
	{"a joiner that joins nothing", "pay\u200dpal", `pay\u200dpal`, "U+200D (zero width joiner)"},
	{"a word joiner", "a\u2060b", `a\u2060b`, "U+2060 (word joiner)"},
	{"a soft hyphen", "pass\u00adword", `pass\u00adword`, "U+00AD (soft hyphen)"},
	{"hidden tags", "ok\U000e0069\U000e0067\U000e006e", `ok\udb40\udc69\udb40\udc67`, "U+E0069 (tag character)"},
	{"hidden selectors", "ok\U000e0101\U000e0102", `ok\udb40\udd01\udb40\udd02`, "U+E0101 (variation selector)"},
	{"a Hangul filler", "a\u3164b", `a\u3164b`, "U+3164 (invisible character)"},
	{"private use", "a\ue000b", `a\ue000b`, "U+E000 (private use character)"},
	{"no UTF-8", "a\x9b2J\xff", `a\x9b2J\xff`, "the byte 0x9b (not UTF-8)"},
}

// InUTF8 are those that JSON, YAML and headers can hold.
func InUTF8() (attacks []Attack) {
	for _, attack := range Hostile {
		if utf8.ValidString(attack.Text) {
			attacks = append(attacks, attack)
		}
	}
	return attacks
}

// All has the text of every attack that is UTF-8, and a line that was not written by us.
func All() string {
	var all strings.Builder
	for _, attack := range InUTF8() {
		all.WriteString(attack.Text + " ")
	}
	return all.String() + "\n" + Forged
}

// Forged is a line that must not stand by itself in a report.
const Forged = "ok  login  signed in as root@example.com"

// never are characters that are in no text that is shown, by Unicode's own tables. A
// joiner may be in some.
var never = []*unicode.RangeTable{unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point}

// AssertPlain fails a test if a text holds what a terminal would obey or a person could not
// see. Line breaks and tabs are plain, and so are the joiners of scripts and emoji.
func AssertPlain(t testing.TB, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%q is not UTF-8", text)
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for i, r := range text {
		plain := strings.ContainsRune("\n\t\u200c\u200d", r) || unicode.Is(unicode.Prepended_Concatenation_Mark, r)
		if !plain && unicode.In(r, never...) {
			t.Errorf("%s is in %q", fmt.Sprintf("%U", r), text[max(0, i-40):min(len(text), i+40)])
			return
		}
	}
}
