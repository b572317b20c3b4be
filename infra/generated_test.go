package main

import (
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/berth-mcp/berth/infra/client"
	"github.com/berth-mcp/berth/infra/project"
	"github.com/berth-mcp/berth/infra/setting"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what is generated from the tables of settings")

// What is generated, between two lines of a file that is otherwise written by hand.
var generated = map[string]struct{ file, begin, end, text string }{
	"Pulumi.yaml declares every setting": {
		"../Pulumi.yaml", "  # settings: begin", "  # settings: end",
		setting.Declaration(allKeys()),
	},
	"the documentation explains every setting of a client stack": {
		"../docs/operate.md", "<!-- config reference: begin -->", "<!-- config reference: end -->",
		setting.Reference(client.Keys),
	},
	"the documentation explains every setting of a project stack": {
		"../docs/operate.md", "<!-- project reference: begin -->", "<!-- project reference: end -->",
		setting.Reference(project.Keys),
	},
}

// allKeys are the settings of every kind of stack, each once.
func allKeys() []setting.Key {
	var keys []setting.Key
	for _, k := range slices.Concat(client.Keys, project.Keys) {
		if !slices.ContainsFunc(keys, func(other setting.Key) bool { return other.Name == k.Name }) {
			keys = append(keys, k)
		}
	}
	return keys
}

func TestWhatIsGeneratedIsCurrent(t *testing.T) {
	for name, g := range generated {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(g.file)
			require.NoError(t, err)
			want, err := setting.Between(string(content), g.begin, g.end, g.text)
			require.NoError(t, err, g.file)
			if *update {
				require.NoError(t, os.WriteFile(g.file, []byte(want), 0o644))
				return
			}
			assert.Equal(t, want, string(content), "%s is stale: go generate ./infra", g.file)
		})
	}
}
