package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// quickRun returns the table of a run that measures as little as possible.
func quickRun(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "bench")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	var stdout, stderr bytes.Buffer
	c := exec.Command(binary, "-quick")
	c.Stdout, c.Stderr = &stdout, &stderr
	require.NoError(t, c.Run(), stderr.String())
	return stdout.String()
}

func TestAQuickRunMeasuresEveryContender(t *testing.T) {
	table := quickRun(t)
	for _, want := range []string{"direct", "ReverseProxy", "berth-proxy"} {
		assert.Contains(t, table, want)
	}
	for _, m := range measurements {
		for _, row := range m.rows {
			assert.Contains(t, table, row)
		}
	}
	for _, row := range append([]string{"berth-proxy stdio"}, stdioRows...) {
		assert.Contains(t, table, row)
	}
	for line := range strings.Lines(table) {
		if strings.Contains(line, "short streams that broke") {
			assert.Regexp(t, `\s0\s+\S+\s*$`, line, "none of berth-proxy's")
		}
	}
}

func TestTheMedianIsTheMiddle(t *testing.T) {
	assert.InDelta(t, 2, median([]float64{9, 1, 2}), 0)
	for v, want := range map[float64]string{0: "0", 0.1234: "0.123", 12.34: "12.3", 123.4: "123", 56789: "56789"} {
		assert.Equal(t, want, show(v))
	}
}
