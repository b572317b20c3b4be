// Package plaintext keeps text that another party wrote from doing anything except being
// read. Control characters move a terminal's cursor, set its title or fill its clipboard;
// format characters reorder what a person reads, or hide text that a model still sees.
//
// What is shown goes through [Escape], [Line] or a [Writer]: such characters become escape
// sequences that a person can see. What is to be stored goes through [Check], which refuses
// them. All of them apply the same rule to each character; see [Form].
//
// It must not know where text comes from, nor what it is about.
package plaintext

import (
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxLine is the length of the longest [Line], in bytes: some sentences.
const MaxLine = 4 << 10

const ellipsis = "…"

// Escape returns the text as [Lines], in which each character that may not be shown is
// replaced by its escape sequence: \u001b, or two of them (UTF-16) for a character beyond
// U+FFFF, as in JSON. JSON therefore stays the same JSON. A byte that is not UTF-8 becomes
// \x9b. What is escaped already stays as it is.
func Escape(text string) string { return Lines.Escape(text) }

// Escape returns the text in its form. Nothing of it is lost.
func (form Form) Escape(text string) string {
	if form == Lines && isPlainASCII(text) {
		return text
	}
	var out strings.Builder
	for part, shown := range characters(text, form) {
		out.WriteString(visible(part, shown))
	}
	return out.String()
}

// Line returns the text as [OneLine], so that line breaks and tabs are escaped too. It is cut
// to [MaxLine] bytes, and then ends in an ellipsis.
func Line(text string) string {
	var out strings.Builder
	fits := 0 // length of what can stay if the text is to be cut
	for part, shown := range characters(text, OneLine) {
		out.WriteString(visible(part, shown))
		switch {
		case out.Len() > MaxLine:
			// A joiner with nothing to join would have to be escaped itself.
			return strings.TrimRight(out.String()[:fits], joiners) + ellipsis
		case out.Len() <= MaxLine-len(ellipsis):
			fits = out.Len()
		}
	}
	return out.String()
}

// A Writer escapes everything that is written to it, as [Escape] does. A character must
// not be split over two writes: its parts would be escaped as bytes that are not UTF-8.
// Package fmt, slog and the encoders of JSON write whole messages.
type Writer struct{ to io.Writer }

// NewWriter returns a Writer that writes on to another.
func NewWriter(to io.Writer) Writer { return Writer{to} }

func (w Writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, Escape(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Raw returns what a [Writer] writes on to, and any other writer as it is. It is for what
// must not change on its way to a program, and for the styling of our own.
func Raw(w io.Writer) io.Writer {
	if wrapped, ok := w.(Writer); ok {
		return wrapped.to
	}
	return w
}

// characters yields each character of a text, or byte that is not UTF-8, and whether it may
// be shown as it is.
func characters(text string, form Form) iter.Seq2[string, bool] {
	return func(yield func(part string, shown bool) bool) {
		var before rune // 0 if it is not shown
		for rest := text; rest != ""; {
			r, size := first(rest)
			after, _ := first(rest[size:])
			shown := form.shows(before, r, after)
			if !yield(rest[:size], shown) {
				return
			}
			rest = rest[size:]
			if before = r; !shown {
				before = 0
			}
		}
	}
}

// first returns the first character of a text. It is 0, which is never shown, if there is
// none or if it is not UTF-8.
func first(text string) (r rune, size int) {
	r, size = utf8.DecodeRuneInString(text)
	if r == utf8.RuneError && size <= 1 {
		r = 0
	}
	return r, size
}

func visible(part string, shown bool) string {
	if shown {
		return part
	}
	r, _ := utf8.DecodeRuneInString(part)
	switch {
	case !utf8.ValidString(part):
		return fmt.Sprintf(`\x%02x`, part[0])
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

func isPlainASCII(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '\n' && c != '\t' && !isPlain(rune(c)) {
			return false
		}
	}
	return true
}
