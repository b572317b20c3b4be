package plaintext_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
)

// legitimate are texts that people write. None may be changed or refused.
var legitimate = map[string]string{
	"ASCII":                     `Launch "v2" <soon> & \u202e`,
	"German":                    "Größe: 10 m², 5 €",
	"combining accents":         "e\u0301te\u0301",
	"Arabic":                    "مرحبا بالعالم ١٢٣",
	"Arabic number sign":        "\u0600١٢",
	"Hebrew":                    "שלום עולם",
	"Persian with a non-joiner": "می\u200cخواهم",
	"Hindi with a joiner":       "क्\u200dष",
	"Japanese":                  "東京　タワー",
	"French spaces":             "Vraiment\u00a0? Oui\u202f!",
	"a family":                  "👩\u200d👩\u200d👧",
	"a skin tone":               "👩🏽\u200d🚀",
	"a selector and a joiner":   "❤\ufe0f\u200d🔥 🏳\ufe0f\u200d⚧\ufe0f",
	"an arrow after a joiner":   "🙂\u200d↔\ufe0f",
	"a keycap":                  "1\ufe0f\u20e3",
	"a variant of a Han":        "葛\U000e0100",
	"Mongolian":                 "ᠠ\u180b",
	"an emoji of tomorrow":      "\U0001faff\U0001f6df",
	"a replacement character":   "\ufffd",
}

func TestLegitimateTextStaysAsItIs(t *testing.T) {
	for name, text := range legitimate {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, text, plaintext.Escape(text))
			assert.Equal(t, text, plaintext.Line(text))
			assert.NoError(t, plaintext.Check(text, plaintext.OneLine))
		})
	}
}

func TestHostileTextIsEscapedAndRefused(t *testing.T) {
	for _, hostile := range plaintexttest.Hostile {
		t.Run(hostile.Name, func(t *testing.T) {
			for _, out := range []string{plaintext.Escape(hostile.Text), plaintext.Line(hostile.Text)} {
				assert.Contains(t, out, hostile.Shown)
				plaintexttest.AssertPlain(t, out)
			}
			assert.ErrorContains(t, plaintext.Check(hostile.Text, plaintext.OneLine), hostile.Named)
			assert.ErrorContains(t, plaintext.Check("line\n\t"+hostile.Text, plaintext.Lines), hostile.Named)
		})
	}
}

func TestCheck_NamesEachCharacterOnce(t *testing.T) {
	for _, test := range []struct {
		text string
		form plaintext.Form
		want string
	}{
		{"a\u202eb\u202ec", plaintext.OneLine, "U+202E (right-to-left override) is not allowed: remove it"},
		{"a\x1b\u200b", plaintext.Lines, "U+001B (escape) and U+200B (zero width space) are not allowed: remove them"},
		{"a\nb", plaintext.OneLine, "U+000A (line feed) is not allowed: remove it"},
		{"a\xff", plaintext.Lines, "the byte 0xff (not UTF-8) is not allowed: remove it"},
		{"\ue000\U000e0041", plaintext.Lines, "U+E000 (private use character) and U+E0041 (tag character) are not allowed: remove them"},
		{"\x00\x01\x02\x03\x04\x05\x06", plaintext.Lines, "U+0000 (null), U+0001 (control character), U+0002 (control character), U+0003 (control character), U+0004 (control character) and 2 more are not allowed: remove them"},
	} {
		assert.EqualError(t, plaintext.Check(test.text, test.form), test.want)
	}
	assert.NoError(t, plaintext.Check("a\r\nb\n\tc", plaintext.Lines))
	assert.Error(t, plaintext.Check("a\rb", plaintext.Lines), "the next line would be written over it")
}

func TestInvisibleCharactersCannotCarryAMessage(t *testing.T) {
	for name, text := range map[string]string{
		"joiners in a row":               "م\u200c\u200dم",
		"a joiner at the end":            "👩\u200d",
		"a joiner between Latin letters": "pay\u200dpal",
		"a joiner at the border":         "a\u200cم",
		"selectors in a row":             "🙂\ufe0f\ufe0e",
		"a selector behind a space":      "a \ufe0f",
		"a selector at the start":        "\ufe0f",
		"a selector behind a joiner":     "👩\u200d\ufe0f",
		"a Han's selector behind Latin":  "a\U000e0100",
	} {
		assert.Error(t, plaintext.Check(text, plaintext.OneLine), name)
		assert.NotEqual(t, text, plaintext.Line(text), name)
	}
}

func TestEscape_KeepsLinesAndLineKeepsOne(t *testing.T) {
	assert.Equal(t, "a\r\n\tb\\rc\n", plaintext.Escape("a\r\n\tb\rc\n"))
	assert.Equal(t, `a\r\n\tb`, plaintext.Line("a\r\n\tb"))
	assert.Equal(t, `\u001b[31m \ud83d`, plaintext.Escape("\x1b[31m \\ud83d"))
	assert.Equal(t, `\udb40\udc41`, plaintext.Escape("\U000e0041"))
	assert.Equal(t, `\xff\xfe`, plaintext.Escape("\xff\xfe"))
}

func TestLine_IsBounded(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("x", plaintext.MaxLine), strings.Repeat("\x1b", plaintext.MaxLine), strings.Repeat("x", plaintext.MaxLine+1),
		strings.Repeat("👩\u200d👩", plaintext.MaxLine), "é" + strings.Repeat("é", plaintext.MaxLine),
	} {
		line := plaintext.Line(text)
		assert.LessOrEqual(t, len(line), plaintext.MaxLine)
		assert.Equal(t, line, plaintext.Line(line))
		assert.Equal(t, line != text, strings.HasSuffix(line, "…"))
	}
}

func TestWriter_LeavesJSONTheSame(t *testing.T) {
	var all []string
	for _, hostile := range plaintexttest.Hostile {
		all = append(all, hostile.Text)
	}
	want, err := json.MarshalIndent(all, "", "\t")
	require.NoError(t, err)
	var out bytes.Buffer
	n, err := plaintext.NewWriter(&out).Write(want)
	require.NoError(t, err)
	assert.Equal(t, len(want), n)
	plaintexttest.AssertPlain(t, out.String())
	assert.JSONEq(t, string(want), out.String())
}

func TestWriter_TellsOfFailure(t *testing.T) {
	n, err := plaintext.NewWriter(closed{}).Write([]byte("text"))
	assert.ErrorIs(t, err, io.ErrClosedPipe)
	assert.Zero(t, n)
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestRaw_IsWhatWasWrapped(t *testing.T) {
	var out bytes.Buffer
	assert.Same(t, &out, plaintext.Raw(plaintext.NewWriter(&out)))
	assert.Same(t, &out, plaintext.Raw(&out))
}

func FuzzEscape(f *testing.F) {
	for _, hostile := range plaintexttest.Hostile {
		f.Add(hostile.Text)
	}
	for _, text := range legitimate {
		f.Add(text)
		f.Add(text + "\x1b" + text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for form, out := range map[plaintext.Form]string{plaintext.Lines: plaintext.Escape(text), plaintext.OneLine: plaintext.Line(text)} {
			assert.True(t, utf8.ValidString(out))
			plaintexttest.AssertPlain(t, out)
			assert.NoError(t, plaintext.Check(out, form), "it may be shown")
			if plaintext.Check(text, form) == nil && len(text) <= plaintext.MaxLine {
				assert.Equal(t, text, out, "what may be shown is not changed")
			}
		}
		assert.Equal(t, plaintext.Escape(text), plaintext.Escape(plaintext.Escape(text)))
		line := plaintext.Line(text)
		assert.Equal(t, line, plaintext.Line(line))
		assert.LessOrEqual(t, len(line), plaintext.MaxLine)
		assert.False(t, strings.ContainsFunc(line, unicode.IsControl))
	})
}
