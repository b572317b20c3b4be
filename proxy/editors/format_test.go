package editors

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tailscale/hujson"
)

var (
	byURL     = []member{{"type", "http"}, {"url", "http://localhost:3030/acme/mcp"}}
	byCommand = []member{{"command", `C:\bin\berth-proxy.exe`}, {"args", []string{"stdio", "acme"}}}
)

func TestAJSONEntryIsAddedAndNothingElseTouched(t *testing.T) {
	for name, test := range map[string]struct {
		members      []member
		before, want string
	}{
		"no file":     {byURL, "", "{\n  \"servers\": {\n    \"acme\": {\n      \"type\": \"http\",\n      \"url\": \"http://localhost:3030/acme/mcp\"\n    }\n  }\n}\n"},
		"empty lines": {byCommand, "\n\n", "{\n  \"servers\": {\n    \"acme\": {\n      \"command\": \"C:\\\\bin\\\\berth-proxy.exe\",\n      \"args\": [\"stdio\", \"acme\"]\n    }\n  }\n}\n"},
		"another server, a comment and tabs": {byURL,
			"{\n\t// mine\n\t\"servers\": {\n\t\t\"b\": {} // keep\n\t}\n}",
			"{\n\t// mine\n\t\"servers\": {\n\t\t\"b\": {}, // keep\n\t\t\"acme\": {\n\t\t\t\"type\": \"http\",\n\t\t\t\"url\": \"http://localhost:3030/acme/mcp\"\n\t\t}\n\t}\n}"},
		"a comma at the end": {byURL[:1],
			"{\n  \"servers\": {\n    \"b\": {}, /* keep */\n  },\n}\n",
			"{\n  \"servers\": {\n    \"b\": {}, /* keep */\n    \"acme\": {\n      \"type\": \"http\"\n    },\n  },\n}\n"},
		"lines of Windows and a mark": {byURL[:1],
			"\ufeff{\r\n    \"theme\": \"dark\"\r\n}\r\n",
			"\ufeff{\r\n    \"theme\": \"dark\",\r\n    \"servers\": {\r\n        \"acme\": {\r\n            \"type\": \"http\"\r\n        }\r\n    }\r\n}\r\n"},
		"one line":        {byURL[:1], `{"servers":{"b":{}}}`, `{"servers":{"b":{}, "acme": {"type": "http"}}}`},
		"an empty object": {byURL[:1], "{ \"servers\": {\n    // none yet\n  } }", "{ \"servers\": {\n    // none yet\n  \"acme\": {\n    \"type\": \"http\"\n  }\n  } }"},
	} {
		t.Run(name, func(t *testing.T) {
			after, err := jsonFormat{}.set([]byte(test.before), "servers", "acme", test.members)
			require.NoError(t, err)
			assert.Equal(t, test.want, string(after))
			again, err := jsonFormat{}.set(after, "servers", "acme", test.members)
			require.NoError(t, err)
			assert.Equal(t, test.want, string(again), "a second time changes nothing")
		})
	}
}

func TestAJSONEntryIsUpdatedAndKeepsWhatTheUserPutIntoIt(t *testing.T) {
	const before = `{
  "servers": {
    "acme": {
      "command": "old", // was a command
      "args": [],
      "alwaysAllow": ["list_goals"], // mine
      "url": "http://localhost:1/acme/mcp" // the address
    }
  }
}
`
	after, err := jsonFormat{}.set([]byte(before), "servers", "acme", byURL)
	require.NoError(t, err)
	assert.Equal(t, `{
  "servers": {
    "acme": {
       // was a command
      "alwaysAllow": ["list_goals"], // mine
      "url": "http://localhost:3030/acme/mcp", // the address
      "type": "http"
    }
  }
}
`, string(after))
}

func TestAJSONEntryIsRemovedWithItsLineAndItsComma(t *testing.T) {
	for name, test := range map[string][2]string{
		"the first":                    {"{\n  \"servers\": {\n    \"acme\": {},\n    \"b\": 1\n  }\n}", "{\n  \"servers\": {\n    \"b\": 1\n  }\n}"},
		"the last":                     {"{\n  \"servers\": {\n    \"b\": 1, // b\n    \"acme\": {}\n  }\n}", "{\n  \"servers\": {\n    \"b\": 1 // b\n  }\n}"},
		"the last, with a comma":       {"{\n  \"servers\": {\n    \"b\": 1,\n    \"acme\": {},\n  }\n}", "{\n  \"servers\": {\n    \"b\": 1,\n  }\n}"},
		"the only one":                 {"{\n  \"servers\": {\n    \"acme\": {}\n  }\n}", "{\n  \"servers\": {\n  }\n}"},
		"on one line":                  {`{"servers":{"a":1,"acme":{},"b":2}}`, `{"servers":{"a":1,"b":2}}`},
		"with a comment behind":        {"{\"servers\":{\n\"acme\": {} /* x */, // y\n\"b\": 1}}", "{\"servers\":{\n /* x */ // y\n\"b\": 1}}"},
		"with a comment in front":      {"{\"servers\":{\n// x\n\"acme\": {}\n}}", "{\"servers\":{\n// x\n}}"},
		"not there":                    {`{"servers":{}}`, `{"servers":{}}`},
		"no section":                   {`{}`, `{}`},
		"no file":                      {"", ""},
		"with lines as Windows has it": {"{\"servers\":{\r\n  \"acme\": {},\r\n  \"b\": 1\r\n}}", "{\"servers\":{\r\n  \"b\": 1\r\n}}"},
	} {
		t.Run(name, func(t *testing.T) {
			after, err := jsonFormat{}.remove([]byte(test[0]), "servers", "acme")
			require.NoError(t, err)
			assert.Equal(t, test[1], string(after))
		})
	}
}

func TestATOMLTableIsAddedUpdatedAndRemovedAndNothingElseTouched(t *testing.T) {
	const foreign = "# my settings\nmodel = \"x\" # best\n\n[mcp_servers.b]\ncommand = '''\nmulti\n[mcp_servers.acme]\n'''\n"
	members := []member{{"url", "http://localhost:3030/acme/mcp"}}
	format := tomlFormat{}

	added, err := format.set([]byte(foreign), "mcp_servers", "acme", members)
	require.NoError(t, err)
	assert.Equal(t, foreign+"\n[mcp_servers.acme]\nurl = \"http://localhost:3030/acme/mcp\"\n", string(added))
	again, err := format.set(added, "mcp_servers", "acme", members)
	require.NoError(t, err)
	assert.Equal(t, string(added), string(again), "a second time changes nothing")
	removed, err := format.remove(added, "mcp_servers", "acme")
	require.NoError(t, err)
	assert.Equal(t, foreign, string(removed))

	for name, test := range map[string]struct {
		members            []member
		before, want, gone string
	}{
		"in the middle, with tables below it": {members,
			"[mcp_servers . \"acme\"] # us\nurl = \"old\" # where\ntool_timeout_sec = 60\n\n[mcp_servers.acme.http_headers]\na = \"b\"\n\n# about c\n[mcp_servers.c]\nurl = \"c\"\n",
			"[mcp_servers . \"acme\"] # us\nurl = \"http://localhost:3030/acme/mcp\" # where\ntool_timeout_sec = 60\n\n[mcp_servers.acme.http_headers]\na = \"b\"\n\n# about c\n[mcp_servers.c]\nurl = \"c\"\n",
			"\n# about c\n[mcp_servers.c]\nurl = \"c\"\n"},
		"from a command to a URL": {members,
			"[mcp_servers.acme]\ncommand = \"x\"\nargs = [\n  \"a\", # [\n  \"b\",\n]\nenabled = true\r\n[z]\n",
			"[mcp_servers.acme]\nurl = \"http://localhost:3030/acme/mcp\"\r\nenabled = true\r\n[z]\n",
			"[z]\n"},
		"from a URL to a command, at the end": {byCommand,
			"[mcp_servers.acme]\nurl = 'x'",
			"[mcp_servers.acme]\ncommand = \"C:\\\\bin\\\\berth-proxy.exe\"\nargs = [\"stdio\", \"acme\"]\n",
			""},
		"a header alone": {members, "[mcp_servers.acme]", "[mcp_servers.acme]\nurl = \"http://localhost:3030/acme/mcp\"\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			after, err := format.set([]byte(test.before), "mcp_servers", "acme", test.members)
			require.NoError(t, err)
			assert.Equal(t, test.want, string(after))
			again, err := format.set(after, "mcp_servers", "acme", test.members)
			require.NoError(t, err)
			assert.Equal(t, string(after), string(again), "a second time changes nothing")
			removed, err := format.remove([]byte(test.before), "mcp_servers", "acme")
			require.NoError(t, err)
			assert.Equal(t, test.gone, string(removed))
		})
	}
}

func TestAFileThatCannotBeChangedSafelyIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		format          format
		content, reason string
	}{
		"not JSON":             {jsonFormat{}, "{\n  \"a\": nope\n}", `line 2, column 8: invalid literal: nope`},
		"an unclosed comment":  {jsonFormat{}, "{} /*", "line 1, column 4: parsing comment: unexpected EOF"},
		"a list":               {jsonFormat{}, "[]", "line 1: the file is not an object"},
		"a section of null":    {jsonFormat{}, "{\n\"servers\": null}", `line 2: "servers" is not an object`},
		"two sections":         {jsonFormat{}, "{\"servers\": {},\n\"servers\": {}}", `line 2: "servers" is there a second time`},
		"two of the entry":     {jsonFormat{}, `{"servers": {"acme": {}, "\u0061cme": {}}}`, `line 1: "acme" is there a second time`},
		"not TOML":             {tomlFormat{}, "a = 1\nb = \n", "line 2, column"},
		"a key twice":          {tomlFormat{}, "a = 1\na = 2\n", "line 2, column 1: "},
		"an inline section":    {tomlFormat{}, "servers = {}\n", `line 1: "servers" is not written as a table [servers.acme]: change it by hand`},
		"an inline entry":      {tomlFormat{}, "[servers]\nacme = {url = 'x'}\n", `line 2: "servers.acme" is not written as a table`},
		"dotted keys":          {tomlFormat{}, "servers.acme.url = 'x'\n", `line 1: "servers.acme.url" is not written as a table`},
		"a list of tables":     {tomlFormat{}, "[[servers]]\n", `line 1: "servers" is not written as a table`},
		"a table below it all": {tomlFormat{}, "[servers.acme.env]\n", `tables below "servers.acme"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.format.set([]byte(test.content), "servers", "acme", byURL)
			require.ErrorContains(t, err, test.reason)
		})
	}
}

// onlyAdded reports whether one text is another with something put in.
func onlyAdded(before, after []byte) bool {
	for _, b := range before {
		at := bytes.IndexByte(after, b)
		if at < 0 {
			return false
		}
		after = after[at+1:]
	}
	return true
}

// decoded is the content without the entry, an empty section being none.
func decoded(t *testing.T, f format, content []byte) map[string]any {
	t.Helper()
	_, text := splitMark(content)
	var all map[string]any
	var err error
	if _, isTOML := f.(tomlFormat); isTOML {
		all, err = decodeTOML(text)
	} else if len(bytes.Trim(text, blanks)) > 0 {
		text, err = hujson.Standardize(bytes.Clone(text))
		require.NoError(t, err)
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		err = decoder.Decode(&all)
	}
	require.NoError(t, err)
	all = maps.Clone(all)
	if servers, ok := all["servers"].(map[string]any); ok {
		delete(servers, "acme")
		if len(servers) == 0 {
			delete(all, "servers")
		}
	}
	if all == nil {
		all = map[string]any{}
	}
	return all
}

func fuzzFormat(f *testing.F, format format, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		kept := bytes.Clone(content)
		found, err := format.entries(content, "servers")
		if err != nil {
			return // not valid
		}
		_, text := splitMark(content)
		isNew := len(bytes.Trim(text, blanks)) > 0 // white space alone is as good as no file
		for _, e := range found {
			isNew = isNew && e.name != "acme"
		}
		after, err := format.set(content, "servers", "acme", byURL)
		require.Equal(t, kept, content, "the content is not written to")
		if err != nil {
			return // refused: nothing changes
		}
		assert.Equal(t, decoded(t, format, content), decoded(t, format, after))
		if isNew {
			assert.True(t, onlyAdded(content, after), "foreign bytes are all there, in their order: %q became %q", content, after)
		}
		found, err = format.entries(after, "servers")
		require.NoError(t, err, "%q became %q", content, after)
		var ours entry
		for _, e := range found {
			if e.name == "acme" {
				ours = e
			}
		}
		assert.Equal(t, "http://localhost:3030/acme/mcp", ours.text("url"), "%q", after)
		assert.Empty(t, ours.text("command"))
		again, err := format.set(after, "servers", "acme", byURL)
		require.NoError(t, err)
		assert.Equal(t, string(after), string(again), "a second time changes nothing")

		removed, err := format.remove(after, "servers", "acme")
		require.NoError(t, err, "%q became %q", content, after)
		assert.Equal(t, decoded(t, format, content), decoded(t, format, removed), "%q", removed)
		if isNew {
			assert.Equal(t, comments(content), comments(removed), "%q became %q", content, removed)
		}
	})
}

// comments counts what begins a comment, wherever it is; in a string it counts too.
func comments(content []byte) [3]int {
	s := string(content)
	return [3]int{strings.Count(s, "//"), strings.Count(s, "/*"), strings.Count(s, "#")}
}

func FuzzJSONKeepsForeignContent(f *testing.F) {
	fuzzFormat(f, jsonFormat{}, "", "{}", "\ufeff{\r\n}", `{"servers":{"b":{},/*x*/}, }//`, "{\"servers\": {\n\t\"acme\": {\"url\": 1, \"x\": [1.0e5]}, // c\n}}",
		`{"a":1,"servers":{"acme":[] /*x*/ ,"b":"\ud800"}}`, "{ \"servers\" : { //x\n } }", `{"servers":{"acme":{"args":[]},"":{"":null}}}`)
}

func FuzzTOMLKeepsForeignContent(f *testing.F) {
	fuzzFormat(f, tomlFormat{}, "", "a=1", "[servers.b]\nx='''\n[servers.acme]'''#y\n", "[servers.acme]\r\nurl=\"x\" #1\r\nargs=[ #]\n1]\n#z\n[q]\n",
		"[servers]\n[servers.acme]\n[servers.acme.env]\na.b=1\n[[c]]\n[servers.acme.d]", "[servers.\"acme\"]\nargs.x=1\ncommand=2024-01-01\n\n\n")
}
