package plaintext

import (
	"slices"
	"unicode"
)

// A Form says what a text may hold in addition to the characters that everyone can see:
// letters, marks, digits, punctuation, symbols and spaces of all scripts.
//
// Never allowed are controls, format characters (direction marks and overrides, zero width
// characters, tags), line and paragraph separators, private use, and everything else that
// Unicode calls default ignorable. There are two exceptions, which people need to write:
//
//   - A joiner (U+200C, U+200D) between two characters of a script that has joined letters,
//     such as Persian or Hindi, or between two symbols, as in an emoji of several people.
//   - One variation selector behind a visible character. Those of U+E0100 to U+E01EF select
//     the variants of Han characters, and may be behind these only.
//
// Both can still hide a little. Longer hidden text, which needs runs of them, is not possible.
type Form int

const (
	OneLine Form = iota // no line breaks, no tabs
	Lines               // line breaks (LF or CRLF) and tabs as well
)

const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
	joiners   = string(nonJoiner) + string(joiner)

	// firstHanVariant is the first variation selector of ideographic variation sequences.
	firstHanVariant = '\U000e0100'
)

// hidden are the characters that nobody can see, except variation selectors. Default
// ignorable code points that are not assigned yet are among them; others without a character
// so far may be letters or emoji of a newer Unicode than Go's.
var hidden = []*unicode.RangeTable{
	unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp,
	unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point,
}

// joining are the scripts in which a joiner changes how letters are written.
var joining = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Mandaic, unicode.Mongolian, unicode.Nko, unicode.Adlam, unicode.Hanifi_Rohingya,
	unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu,
	unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Myanmar, unicode.Khmer, unicode.Tibetan,
	unicode.Mn, // vowel signs and viramas, which several scripts share
}

// shows reports whether a character may be shown between the two next to it, of which 0 is
// one that is not shown.
func (form Form) shows(before, r, after rune) bool {
	switch {
	case isPlain(r):
		return true
	case r == '\n' || r == '\t' || r == '\r' && after == '\n':
		return form == Lines
	case r == nonJoiner || r == joiner:
		return (joins(before) || isVariation(before)) && joins(after)
	case isVariation(r):
		return takesVariation(before) && (r < firstHanVariant || unicode.Is(unicode.Han, before))
	}
	return !isHidden(r)
}

// isPlain is for most text, and faster than the tables.
func isPlain(r rune) bool { return ' ' <= r && r <= '~' }

func isHidden(r rune) bool {
	// Such as U+0600, the Arabic number sign, which are format characters that are seen.
	return unicode.In(r, hidden...) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

func isVariation(r rune) bool { return unicode.Is(unicode.Variation_Selector, r) }

// joins reports whether a character may be next to a joiner.
func joins(r rune) bool {
	if isHidden(r) || isVariation(r) {
		return false
	}
	emoji := r > unicode.MaxASCII && unicode.Is(unicode.S, r)
	return emoji || unicode.In(r, joining...)
}

func takesVariation(r rune) bool {
	return !isHidden(r) && !isVariation(r) && !unicode.IsSpace(r)
}

// names are what people call the characters that they are most likely to meet in an error.
var names = map[rune]string{
	0x00: "null", 0x07: "bell", 0x08: "backspace", 0x09: "tab", 0x0a: "line feed", 0x0d: "carriage return",
	0x1b: "escape", 0x7f: "delete", 0x85: "next line", 0x9b: "control sequence introducer", 0x9d: "operating system command",
	0xad: "soft hyphen", 0x61c: "Arabic letter mark",
	0x200b: "zero width space", nonJoiner: "zero width non-joiner", joiner: "zero width joiner",
	0x200e: "left-to-right mark", 0x200f: "right-to-left mark", 0x2028: "line separator", 0x2029: "paragraph separator",
	0x202a: "left-to-right embedding", 0x202b: "right-to-left embedding", 0x202c: "pop directional formatting",
	0x202d: "left-to-right override", 0x202e: "right-to-left override",
	0x2060: "word joiner", 0x2066: "left-to-right isolate", 0x2067: "right-to-left isolate",
	0x2068: "first strong isolate", 0x2069: "pop directional isolate", 0xfeff: "zero width no-break space",
}

// A kind names the characters of a table that are not in names.
type kind struct {
	name  string
	table *unicode.RangeTable
}

// kinds are tried in their order.
var kinds = []kind{
	{"control character", unicode.Cc},
	{"private use character", unicode.Co},
	{"variation selector", unicode.Variation_Selector},
	{"tag character", &unicode.RangeTable{R32: []unicode.Range32{{Lo: 0xe0000, Hi: 0xe007f, Stride: 1}}}},
}

func nameOf(r rune) string {
	if name, known := names[r]; known {
		return name
	}
	i := slices.IndexFunc(kinds, func(k kind) bool { return unicode.Is(k.table, r) })
	if i < 0 {
		return "invisible character"
	}
	return kinds[i].name
}
