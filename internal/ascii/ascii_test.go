package ascii_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/berth-mcp/berth/internal/ascii"
)

func TestLower_FoldsASCIIOnly(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"Ada.Z@Example.COM":    "ada.z@example.com",
		"[@`{":                 "[@`{",
		"\u212Aim@example.com": "\u212Aim@example.com",
		"Ro\u017Fe":            "ro\u017Fe",
		"ÄÖ\xffÅ":              "ÄÖ\xffÅ",
	} {
		assert.Equal(t, want, ascii.Lower(in))
	}
}

func TestEqualFold_TellsLettersOfUnicodeApart(t *testing.T) {
	assert.True(t, ascii.EqualFold("group:Ops@Example.com", "GROUP:ops@example.COM"))
	for _, pair := range [][2]string{
		{"\u212Aim", "kim"}, {"u\u017Fer", "user"}, {"localho\u017Ft", "localhost"}, {"a\xff", "a\xfe"}, {"a", "ab"},
	} {
		assert.False(t, ascii.EqualFold(pair[0], pair[1]), "%q and %q", pair[0], pair[1])
	}
}

func TestIs_RefusesEverythingElse(t *testing.T) {
	assert.True(t, ascii.Is("kim@example.com\x7f"))
	for _, s := range []string{"\u212Aim", "zoë", "\xff", "a\u200b"} {
		assert.False(t, ascii.Is(s), "%q", s)
	}
}
