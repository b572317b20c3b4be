package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// quoted is a text as a string in JSON. Go's encoder leaves all but the controls of ASCII as
// they are.
func quoted(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	require.NoError(t, err)
	return string(b)
}

// portTaker is what listens on the port of a proxy, and calls itself one. It returns the port.
func portTaker(t *testing.T, text string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "\u009b2J\u202e"+strings.Map(headerText, text))
		fmt.Fprintf(w, `{"program": "berth-proxy", "version": %s, "clients": [%[1]s, %[1]s]}`, quoted(t, text))
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	return port
}

// headerText leaves out what no header can hold.
func headerText(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// hostileServer answers everything with a greeting in which an attack is.
func hostileServer(t *testing.T, text string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, greeting(t, text))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func greeting(t *testing.T, text string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":%s,"serverInfo":{"name":%[1]s,"version":%[1]s},"capabilities":{}}}`, quoted(t, text))
}

// hostileProject is a directory as of a cloned repository, with editors' files in it. It
// becomes the current one.
func hostileProject(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	oneLine := strings.NewReplacer("\n", " ", "\r", " ", "\u2028", " ").Replace(text)
	name, comment, broken := quoted(t, text), oneLine+"\r evil", oneLine+"\x9b2J"
	for file, content := range map[string]string{
		// A comment may hold anything, an entry's name and client what JSON can hold.
		".cursor/mcp.json":      fmt.Sprintf("{ // %s\n\"mcpServers\": {%s: {\"command\": \"berth-proxy\", \"args\": [\"stdio\", %[2]s]},\n// %[1]s\n\"acme\": {\"command\": %[2]s}}}\n", comment, name),
		".gemini/settings.json": fmt.Sprintf(`{"mcpServers": {%s: {"command": "berth-proxy", "args": ["stdio", %[1]s]}, %[1]s: {}}}`, name),
		".mcp.json":             broken,
		".codex/config.toml":    fmt.Sprintf("[%s]\n[%[1]s]\n%s", name, broken),
		".roo/mcp.json":         fmt.Sprintf(`{"mcpServers": {"acme": 1, "acme": %s}}`, name),
		".vscode/mcp.json":      fmt.Sprintf(`{%s: %[1]s, "servers": {%[1]s: {"command": "berth-proxy", "args": ["stdio", %[1]s]}}}`, name),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	}
}

// harmless fails the test if output holds what a terminal would obey, or a line that looks
// like one of ours and is not.
func harmless(t *testing.T, output string) {
	t.Helper()
	plaintexttest.AssertPlain(t, output)
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "berth-proxy: "))
		assert.False(t, strings.HasPrefix(line, plaintexttest.Forged), "a line of its own: %q", line)
	}
}

// hostile is what a command is run with: everything that others write holds an attack.
type hostile struct {
	port, server string
	config       string // a file of clients that cannot be used
}

// hostileRuns are runs of every command. None of them serves: those end with an error.
var hostileRuns = map[string]func(hostile) [][]string{
	"": func(h hostile) [][]string {
		return [][]string{{"--port", h.port}, {"acme=" + h.server, "--port", h.port}, {"--config", h.config}, {"--log-format=json", "--port", h.port}}
	},
	"serve": func(h hostile) [][]string { return [][]string{{"--port", h.port}, {"--config", h.config}} },
	"stdio": func(h hostile) [][]string { return [][]string{{"acme", "--config", h.config}, {plaintexttest.All()}} },
	"add": func(h hostile) [][]string {
		return [][]string{
			{"hooli=" + h.server + "/" + plaintexttest.All()}, {plaintexttest.All() + "=" + h.server}, {"b", "--config", h.config},
			{"hooli", "--project=my-project", "--region=europe-west1", "--service=x"}, // the API's answer is hostile, too
			{"hooli=" + h.server, "--access-hint", plaintexttest.All()}, {"hooli=" + h.server, "--audience", plaintexttest.All()},
		}
	},
	"remove": func(h hostile) [][]string {
		return [][]string{{plaintexttest.All()}, {"acme", "--config", h.config}, {"globex"}}
	},
	"list": func(h hostile) [][]string { return [][]string{{}, {"--json"}, {"--config", h.config}} },
	"install": func(hostile) [][]string {
		runs := [][]string{{"--list"}, {"--list", "--scope=project"}, {"--list", "--scope=project", "--json"}, {plaintexttest.All()}, {"cursor", "--link"}}
		for _, editor := range []string{"claude-code", "codex", "cursor", "gemini", "roo-code", "vscode"} {
			runs = append(runs, []string{editor, "--scope=project", "--client=acme", "--dry-run"},
				[]string{editor, "--scope=project", "--client=acme", "--dry-run", "--force", "--stdio"}, []string{editor, "--client", plaintexttest.All()})
		}
		return append(runs, []string{"cursor", "--scope=project", "--client=acme", "--name", plaintexttest.All()})
	},
	"uninstall": func(hostile) [][]string {
		return [][]string{{"cursor", "--scope=project", "--dry-run"}, {"vscode", "--scope=project", "--dry-run"}, {"--all", "--scope=project"}, {"codex", "--scope=project"}}
	},
	"doctor": func(h hostile) [][]string {
		return [][]string{{"--port", h.port}, {"--port", h.port, "--json"}, {"acme=" + h.server, "--port", h.port}, {"--config", h.config}}
	},
	"service":           func(hostile) [][]string { return [][]string{{}, {plaintexttest.All()}} },
	"service print":     func(h hostile) [][]string { return [][]string{{"--config", h.config}} },
	"service install":   func(h hostile) [][]string { return [][]string{{"--config", h.config}} },
	"service uninstall": func(h hostile) [][]string { return [][]string{{"--config", h.config}} },
	"completion":        func(hostile) [][]string { return [][]string{{}, {plaintexttest.All()}} },
	"help":              func(hostile) [][]string { return [][]string{{}, {plaintexttest.All()}} },
	"__complete": func(h hostile) [][]string {
		return [][]string{{""}, {"--config", h.config, ""}, {"install", "--client", ""}}
	},
	"__completeNoDesc": func(h hostile) [][]string { return [][]string{{""}, {"--config", h.config, ""}} },
	"completion bash":  noArguments, "completion fish": noArguments, "completion powershell": noArguments, "completion zsh": noArguments,
}

func noArguments(hostile) [][]string { return [][]string{{}, {plaintexttest.All()}} }

// commands are the names of all commands there are.
func commands(command *cobra.Command, above string) []string {
	names := []string{above}
	for _, sub := range command.Commands() {
		names = append(names, commands(sub, strings.TrimSpace(above+" "+sub.Name()))...)
	}
	return names
}

func TestNoCommandPrintsWhatATerminalWouldObey(t *testing.T) {
	text := plaintexttest.All()
	w := newWorld(t)
	newHome(t)
	hostileProject(t, text)
	h := hostile{port: portTaker(t, text), server: hostileServer(t, text), config: filepath.Join(t.TempDir(), "proxy.yaml")}
	w.endpoint.Set(func(e *tokentest.Endpoint) { e.Email = text })
	w.api.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, `{"uri": %s, "error": {"message": %[1]s, "status": %[1]s}}`, quoted(t, text))
	})
	name := quoted(t, text)
	require.NoError(t, os.WriteFile(h.config, fmt.Appendf(nil, "%s: %[1]s\nlog-level: %[1]s\nport: %[1]s\nclients:\n  %[1]s: {url: %[1]s}\n  acme: {%[1]s: 1, access-hint: %[1]s}\n", name), 0o600))
	runs(t, exitOK, "add", "acme="+h.server)
	runs(t, exitOK, "add", "globex="+h.server)

	root := newRoot(&common{})
	root.InitDefaultCompletionCmd("completion")
	root.InitDefaultHelpCmd()
	for _, name := range commands(root, "") {
		assert.Contains(t, hostileRuns, name, "a new command is to be tried with what others write")
	}
	all := ""
	for name, argsOf := range hostileRuns {
		for _, args := range argsOf(h) {
			var out, errs bytes.Buffer
			code := Main(append(strings.Fields(name), args...), &out, &errs)
			t.Run(fmt.Sprintf("%s %.60q", name, args), func(t *testing.T) {
				assert.NotEmpty(t, out.String()+errs.String())
				harmless(t, out.String())
				harmless(t, errs.String())
				if slices.Contains(args, "--json") && code != exitUsage {
					assert.True(t, json.Valid(out.Bytes()), out.String())
				}
			})
			all += out.String() + errs.String()
		}
	}
	assert.Contains(t, all, `\u202e`, "what was hostile is shown, and not left out")
	assert.Contains(t, all, `\u001b`)
}

// Each attack by itself, where a squatter and a server get to say most.
func TestNoAttackGetsOutOfItsPlaceInAReport(t *testing.T) {
	newWorld(t)
	newHome(t)
	for _, attack := range plaintexttest.InUTF8() {
		t.Run(attack.Name, func(t *testing.T) {
			text := attack.Text + "\n" + plaintexttest.Forged + "\n"
			var out, errs bytes.Buffer
			Main([]string{"doctor", "--port", portTaker(t, text), "acme=" + hostileServer(t, text)}, &out, &errs)
			harmless(t, out.String())
			harmless(t, errs.String())
			assert.Contains(t, out.String(), attack.Shown, "the server's name is shown")
			for line := range strings.Lines(out.String()) {
				assert.Regexp(t, `^(ok|warning|failed|skipped) +(acme: )?[a-z]+ `, line)
			}
		})
	}
}

func TestWhatIsInJSONStaysTheSame(t *testing.T) {
	newWorld(t)
	newHome(t)
	text := plaintexttest.All()
	hostileProject(t, text)
	out, _ := runs(t, exitOK, "install", "--list", "--scope=project", "--json")
	harmless(t, out)
	var list []listed
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	i := slices.IndexFunc(list, func(l listed) bool { return l.ID == "cursor" })
	require.GreaterOrEqual(t, i, 0)
	assert.Equal(t, []string{text}, list[i].Clients, "a program gets what is in the file")
}

func TestADiffShowsWhatIsHiddenInAFile(t *testing.T) {
	newWorld(t)
	newHome(t)
	hostileProject(t, plaintexttest.All())
	out, _ := runs(t, exitOK, "install", "cursor", "--scope=project", "--client=acme", "--dry-run", "--force")
	assert.Contains(t, out, `\u202e`)
	assert.Contains(t, out, `\u001b[2J`)
	assert.Contains(t, out, `"url": "http://localhost:3030/acme/mcp"`)
}

func TestMessagesOfAServerPassThroughStdioAsTheyAre(t *testing.T) {
	binary := build(t)
	_, env := login(t)
	text := plaintexttest.All()
	c := command(t, binary, env, "stdio", "acme="+hostileServer(t, text))
	c.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}` + "\n")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	require.NoError(t, err, errs.String())
	assert.Equal(t, greeting(t, text)+"\n", string(out))
	assert.Contains(t, string(out), "\u202e")
	harmless(t, errs.String())
}

// What a shell or a service manager reads would not be the same with a character escaped.
func TestFilesForOtherProgramsArePrintedAsTheyAre(t *testing.T) {
	newWorld(t)
	newHome(t)
	for _, shell := range []string{"bash", "fish", "powershell", "zsh"} {
		var raw bytes.Buffer
		root := newRoot(&common{})
		root.SetArgs([]string{"completion", shell})
		root.SetOut(&raw)
		require.NoError(t, root.Execute())
		out, _ := runs(t, exitOK, "completion", shell)
		assert.Equal(t, raw.String(), out, shell)
	}
	unit, errs, code := manage(t, build(t), t.TempDir(), []string{"HTTPS_PROXY=http://proxy.example/می\u200cخواهم"}, "service", "print")
	require.Equal(t, exitOK, code, errs)
	assert.NotContains(t, unit, `\u`)
}
