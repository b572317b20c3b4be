package cmd

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/proxy.md")

func TestTheReferenceOfTheProxyIsCurrent(t *testing.T) {
	const file = "../../docs/proxy.md"
	current := reference(t)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(current), 0o644))
		return
	}
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, current, string(content), "run go generate ./proxy/cmd")
}

// reference is what --help says of all commands, in Markdown.
func reference(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("# berth-proxy\n\n<!-- Generated: go generate ./proxy/cmd -->\n\n")
	var write func(command *cobra.Command)
	write = func(command *cobra.Command) {
		var page bytes.Buffer
		require.NoError(t, doc.GenMarkdownCustom(command, &page, func(string) string { return "" }))
		// The links to other pages are left out: here is but one.
		body, _, _ := strings.Cut(page.String(), "### SEE ALSO")
		// What all commands take is said of the first.
		body, _, _ = strings.Cut(body, "### Options inherited from parent commands")
		fmt.Fprintf(&text, "%s\n\n", strings.TrimSpace(body))
		for _, child := range command.Commands() {
			if child.IsAvailableCommand() && !child.IsAdditionalHelpTopicCommand() {
				write(child)
			}
		}
	}
	root := newRoot(&common{})
	root.DisableAutoGenTag = true
	root.InitDefaultCompletionCmd()
	write(root)
	return strings.TrimSpace(text.String()) + "\n"
}

func TestShellsCompleteCommandsAndClients(t *testing.T) {
	newWorld(t)
	for _, name := range []string{"acme", "globex"} {
		_, errs, code := berth(t, "add", name+"=http://127.0.0.1:9")
		require.Zero(t, code, errs)
	}
	for line, want := range map[string][]string{
		"remove ":       {"acme", "globex"},
		"remove acme ":  {"globex"},
		"doctor ":       {"acme", "globex"},
		"stdio a":       {"acme", "globex"},
		"stdio acme ":   {},
		"serve ":        {"acme", "globex"},
		"--login ":      {"auto", "adc", "gcloud", "metadata"},
		"--log-format ": {"text", "json"},
	} {
		args := strings.Split(line, " ")
		out, _, code := berth(t, append([]string{"__complete"}, args...)...)
		require.Zero(t, code, line)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		got := lines[:len(lines)-1] // the last is a directive to the shell
		assert.Equal(t, want, got, line)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		out, _, code := berth(t, "completion", shell)
		assert.Zero(t, code)
		assert.Contains(t, out, "berth-proxy", shell)
	}
}
