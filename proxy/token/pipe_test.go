//go:build unix

package token_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token"
)

func TestALoginThatIsAPipeIsNotWaitedFor(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "login.json")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err := token.NewSource(token.Options{File: pipe}).Token(t.Context(), audience)
	assert.ErrorContains(t, err, "not a regular file")
}
