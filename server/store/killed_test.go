package store_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/store"
)

// writeForever is the directory that a process of this test writes to until it is
// killed.
const writeForever = "BERTH_TEST_WRITE_FOREVER"

func TestMain(m *testing.M) {
	if base := os.Getenv(writeForever); base != "" {
		writeUntilKilled(base)
	}
	os.Exit(m.Run())
}

// writeUntilKilled replaces one document again and again, each time with another
// letter all over.
func writeUntilKilled(base string) {
	s, err := store.Open(base, "acme", "")
	if err != nil {
		panic(err)
	}
	var version store.Version
	for n := 0; ; n++ {
		letter := string(rune('a' + n%26))
		if version, err = s.Write(context.Background(), "goals/G1.yaml", []byte(strings.Repeat(letter, store.MaxDocument)), version); err != nil {
			panic(err)
		}
		if n == 0 {
			_, _ = os.Stdout.WriteString("writing\n")
		}
	}
}

func TestAWriterThatIsKilledLeavesAReadableStore(t *testing.T) {
	for range 5 {
		base := t.TempDir()
		writer := exec.CommandContext(t.Context(), os.Args[0])
		writer.Env = append(os.Environ(), writeForever+"="+base)
		stdout, err := writer.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, writer.Start())
		_, err = stdout.Read(make([]byte, 8)) // it is at work
		require.NoError(t, err)
		require.NoError(t, writer.Process.Kill())
		_ = writer.Wait() // it was killed

		s, err := store.Open(base, "acme", "")
		require.NoError(t, err)
		assert.Equal(t, []string{"goals/G1.yaml"}, names(t, s))
		data, version, err := s.Read(t.Context(), "goals/G1.yaml")
		require.NoError(t, err)
		assert.Len(t, data, store.MaxDocument)
		assert.Equal(t, len(data), bytes.Count(data, data[:1]), "one whole document")
		_, err = s.Write(t.Context(), "goals/G1.yaml", []byte("next"), version)
		assert.NoError(t, err, "its lock went with it")
	}
}
