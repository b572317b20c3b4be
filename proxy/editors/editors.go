// Package editors connects the MCP clients on this computer to berth-proxy: it knows where
// each keeps its configuration and what an entry looks like there, and changes that one
// entry and nothing else of the file.
//
// What is known of an editor is data, in the table of [All]. The package knows neither
// tokens nor the servers behind the proxy.
package editors

//go:generate go test -run TestTheTableOfEditorsInTheDocumentationIsCurrent -update .

import (
	"fmt"
	"slices"
	"strings"
)

// An Editor is one MCP client and how it is configured.
type Editor struct {
	ID    string // on the command line
	Title string

	user    location
	project string   // file below a project's root, with slashes; "" if there is none
	marker  location // is there if the editor is; by default the directory of the user's file

	format  format
	section string     // member of the file that holds the servers by name
	remote  []template // entry for a URL; nil where the editor has none that reaches localhost
	command []template // entry for a command
	link    linker     // nil where the editor has no link to press
}

// A template is one member of an entry.
type template struct {
	key   string
	value value
}

// A value is where a member's value comes from.
type value struct {
	literal string
	from    func(Server) any
}

func literal(s string) value { return value{literal: s} }

var (
	url     = value{from: func(s Server) any { return s.URL }}
	program = value{from: func(s Server) any { return s.Command[0] }}
	args    = value{from: func(s Server) any { return s.Command[1:] }}
)

// entryKeys are the members by which any of the editors says how a server is reached. An
// update replaces them all and keeps what else the user has put into the entry.
var entryKeys = []string{"type", "url", "serverUrl", "httpUrl", "command", "args"}

var (
	plainCommand = []template{{"command", program}, {"args", args}}
	typedCommand = []template{{"type", literal("stdio")}, {"command", program}, {"args", args}}
)

// all is the table. The locations and entries are those of the editors' own
// documentation, late in 2026.
var all = []Editor{
	{
		ID: "claude-code", Title: "Claude Code",
		user: location{env: "CLAUDE_CONFIG_DIR", base: home, path: ".claude.json"}, project: ".mcp.json",
		marker: location{base: home, path: ".claude"},
		format: jsonFormat{}, section: "mcpServers",
		remote: []template{{"type", literal("http")}, {"url", url}}, command: typedCommand,
	},
	{
		ID: "claude-desktop", Title: "Claude Desktop",
		user:   location{base: appData, path: "Claude/claude_desktop_config.json"},
		format: jsonFormat{}, section: "mcpServers",
		command: plainCommand, // its remote servers are called from the vendor's cloud
	},
	{
		ID: "cline", Title: "Cline (in VS Code)",
		user:   location{base: appData, path: "Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"},
		marker: location{base: appData, path: "Code/User/globalStorage/saoudrizwan.claude-dev"},
		format: jsonFormat{}, section: "mcpServers",
		remote: []template{{"type", literal("streamableHttp")}, {"url", url}}, command: typedCommand,
	},
	{
		ID: "codex", Title: "Codex CLI",
		user: location{env: "CODEX_HOME", base: home, dir: ".codex", path: "config.toml"}, project: ".codex/config.toml",
		format: tomlFormat{}, section: "mcp_servers",
		remote: []template{{"url", url}}, command: plainCommand,
	},
	{
		ID: "cursor", Title: "Cursor",
		user: location{base: home, path: ".cursor/mcp.json"}, project: ".cursor/mcp.json",
		format: jsonFormat{}, section: "mcpServers",
		remote: []template{{"url", url}}, command: plainCommand,
		link: cursorLink,
	},
	{
		ID: "gemini", Title: "Gemini CLI",
		user: location{base: home, path: ".gemini/settings.json"}, project: ".gemini/settings.json",
		format: jsonFormat{}, section: "mcpServers",
		remote: []template{{"httpUrl", url}}, command: plainCommand,
	},
	{
		ID: "roo", Title: "Roo Code (in VS Code)",
		user: location{base: appData, path: "Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"}, project: ".roo/mcp.json",
		marker: location{base: appData, path: "Code/User/globalStorage/rooveterinaryinc.roo-cline"},
		format: jsonFormat{}, section: "mcpServers",
		remote: []template{{"type", literal("streamable-http")}, {"url", url}}, command: typedCommand,
	},
	{
		ID: "vscode", Title: "VS Code",
		user: location{base: appData, path: "Code/User/mcp.json"}, project: ".vscode/mcp.json",
		format: jsonFormat{}, section: "servers",
		remote: []template{{"type", literal("http")}, {"url", url}}, command: typedCommand,
		link: vscodeLink,
	},
	{
		ID: "windsurf", Title: "Windsurf",
		user:   location{base: home, path: ".codeium/windsurf/mcp_config.json"},
		format: jsonFormat{}, section: "mcpServers",
		remote: []template{{"serverUrl", url}}, command: plainCommand,
	},
	{
		ID: "zed", Title: "Zed",
		user: location{base: dotConfig, path: "zed/settings.json"}, project: ".zed/settings.json",
		format: jsonFormat{}, section: "context_servers",
		remote: []template{{"url", url}}, command: plainCommand,
	},
}

// All returns every editor that is known, sorted by ID.
func All() []Editor { return slices.Clone(all) }

// Named returns the editor with an ID.
func Named(id string) (Editor, error) {
	var ids []string
	for _, e := range all {
		if e.ID == id {
			return e, nil
		}
		ids = append(ids, e.ID)
	}
	return Editor{}, fmt.Errorf("editor %q is not known: use %s", id, strings.Join(ids, ", "))
}

// TakesURL reports whether the editor can be given a URL on this machine.
func (e Editor) TakesURL() bool { return e.remote != nil }

// A Server is what an entry of an editor's configuration leads to: a URL of the local
// proxy or a command that bridges standard input and output.
type Server struct {
	Name    string   // of the entry
	URL     string   // used where it is not empty
	Command []string // program and arguments, used where URL is empty
}

// A member is one member of an entry as it is to be written: a string or a []string.
type member struct {
	key   string
	value any
}

// entry returns the members of the server's entry.
func (e Editor) entry(s Server) ([]member, error) {
	templates := e.remote
	if s.URL == "" {
		templates = e.command
	}
	switch {
	case templates == nil:
		return nil, fmt.Errorf("%s has no entry for a URL on this computer: give it a command", e.Title)
	case s.URL == "" && len(s.Command) == 0:
		return nil, fmt.Errorf("the server %q has neither a URL nor a command", s.Name)
	}
	members := make([]member, len(templates))
	for i, t := range templates {
		members[i] = member{t.key, t.value.literal}
		if t.value.from != nil {
			members[i].value = t.value.from(s)
		}
	}
	return members, nil
}

// Snippet is a whole configuration file with the server's entry alone, for a person to
// copy.
func (e Editor) Snippet(s Server) (string, error) {
	members, err := e.entry(s)
	if err != nil {
		return "", err
	}
	text, err := e.format.set(nil, e.section, s.Name, members)
	return string(text), err
}
