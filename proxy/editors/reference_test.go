package editors

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the table in docs/develop.md")

func TestTheTableOfEditorsInTheDocumentationIsCurrent(t *testing.T) {
	const (
		file  = "../../docs/develop.md"
		begin = "<!-- The table is generated: go generate ./proxy/editors -->\n"
		end   = "<!-- /generated -->\n"
	)
	table := reference(t, Server{Name: "acme", URL: "http://localhost:3030/acme/mcp", Command: []string{"berth-proxy", "stdio", "acme"}})
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(content), begin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, end)
	require.True(t, found)
	current := before + begin + "\n" + table + "\n" + end + after
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(current), 0o644))
		return
	}
	assert.Equal(t, current, string(content), "run go generate ./proxy/editors")
}

// reference is a table of all editors in Markdown, with the entry for a server.
func reference(t *testing.T, s Server) string {
	t.Helper()
	var table strings.Builder
	table.WriteString("| editor | `install` | file | entry |\n|---|---|---|---|\n")
	for _, e := range all {
		own := s
		if !e.TakesURL() {
			own.URL = ""
		}
		members, err := e.entry(own)
		require.NoError(t, err)
		places := "`" + e.user.shown() + "`"
		if e.project != "" {
			places += ", project `" + e.project + "`"
		}
		fmt.Fprintf(&table, "| %s | `%s` | %s | `%s` |\n", e.Title, e.ID, places, sketch(e, s.Name, members))
	}
	return table.String()
}

// shown is the location with words for the directory that differs between systems.
func (l location) shown() string {
	bases := map[base]string{home: "~/", dotConfig: "~/.config/", appData: "SETTINGS/"}
	dir := bases[l.base]
	if l.dir != "" {
		dir += l.dir + "/"
	}
	return dir + l.path
}

// sketch is the entry on one line.
func sketch(e Editor, name string, members []member) string {
	if _, isJSON := e.format.(jsonFormat); isJSON {
		return renderJSON([]member{{e.section, []member{{name, members}}}}, layout{})
	}
	parts := []string{"[" + tomlKey([]string{e.section, name}) + "]"}
	for _, m := range members {
		parts = append(parts, tomlLine(m))
	}
	return strings.Join(parts, " ⏎ ")
}
