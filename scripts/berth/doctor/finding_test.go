package doctor

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
)

// Findings quote Google's errors, gcloud's and Pulumi's output, and files of the clone.
func TestAReportHoldsNothingThatATerminalWouldObey(t *testing.T) {
	for _, attack := range plaintexttest.Hostile {
		t.Run(attack.Name, func(t *testing.T) {
			text := attack.Text + "\n" + plaintexttest.Forged
			var out bytes.Buffer
			r := newReport(&out, false)
			r.colour = true
			r.add(fault("project", "Google says: %s", text).by("gcloud " + text))
			own := strings.NewReplacer("\x1b[31m", "", "\x1b[0m", "")
			plaintexttest.AssertPlain(t, own.Replace(out.String()[:20])+out.String()[20:])
			assert.Contains(t, out.String(), "\x1b[31mwrong  \x1b[0m  project", "the colours are our own")
			assert.Equal(t, 2, strings.Count(out.String(), "\n"), "a line each")
			assert.Equal(t, 2, strings.Count(out.String(), attack.Shown))

			var script bytes.Buffer
			r = newReport(&script, true)
			r.add(fault("project", "%s", text))
			require.Error(t, r.end())
			plaintexttest.AssertPlain(t, script.String())
			var got struct{ Findings []finding }
			require.NoError(t, json.Unmarshal(script.Bytes(), &got))
			assert.Contains(t, got.Findings[0].Says, attack.Shown)
		})
	}
}
