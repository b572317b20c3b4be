//go:build unix

package token_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/logtest"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// Whoever can exchange a login has the developer act as somebody else, and can name an
// endpoint of theirs in it.
func TestSource_UsesNoLoginThatOthersCouldHaveWritten(t *testing.T) {
	for name, test := range map[string]struct {
		file    func(t *testing.T, e *tokentest.Endpoint) string
		options func(e *tokentest.Endpoint, file string) token.Options
	}{
		"a login": {
			func(t *testing.T, e *tokentest.Endpoint) string {
				return tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken)
			},
			func(e *tokentest.Endpoint, file string) token.Options {
				return token.Options{File: file, TokenURL: e.URL}
			},
		},
		"an external account": {
			func(t *testing.T, e *tokentest.Endpoint) string { return externalFile(t, e, nil) },
			func(e *tokentest.Endpoint, file string) token.Options {
				return token.Options{File: file, TokenURL: e.URL}
			},
		},
		"a token": {
			func(t *testing.T, _ *tokentest.Endpoint) string {
				file := filepath.Join(t.TempDir(), "token")
				require.NoError(t, os.WriteFile(file, []byte(fromGcloud("ada@example.com")), 0o600))
				return file
			},
			func(_ *tokentest.Endpoint, file string) token.Options { return token.Options{GivenFile: file} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := tokentest.New(t)
			file := test.file(t, e)
			s := token.NewSource(test.options(e, file))
			_, err := s.Token(t.Context(), audience)
			require.NoError(t, err)

			refused := func(s *token.Source, fix string) {
				t.Helper()
				_, err := s.Token(t.Context(), audience)
				var login *token.LoginError
				require.ErrorAs(t, err, &login)
				assert.ErrorContains(t, err, file)
				assert.ErrorContains(t, err, fix)
			}
			require.NoError(t, os.Chmod(file, 0o622))
			refused(s, "run `chmod 600 "+file+"`")
			require.NoError(t, os.Chmod(file, 0o600))
			_, err = s.Token(t.Context(), audience)
			require.NoError(t, err, "it recovers by itself")

			dir := filepath.Dir(file)
			require.NoError(t, os.Chmod(dir, 0o777))
			refused(token.NewSource(test.options(e, file)), "run `chmod go-w "+dir+"`")
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file+".new", content, 0o600))
			require.NoError(t, os.Rename(file+".new", file))
			refused(s, "run `chmod go-w "+dir+"`")
		})
	}
}

func TestSource_DoesNotAskGcloudWhoseFilesOthersMayWrite(t *testing.T) {
	gcloud := installGcloud(t)
	gcloud.logIn(t, "", fromGcloud("ada@example.com"))
	dir := os.Getenv("CLOUDSDK_CONFIG")
	for _, name := range []string{"active_config", "credentials.db", filepath.Join("configurations", "config_default")} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte("default"), 0o600))
		require.NoError(t, os.Chmod(file, 0o602))
		_, err := token.NewSource(token.Options{Kind: token.Gcloud}).Token(t.Context(), audience)
		var login *token.LoginError
		require.ErrorAs(t, err, &login, name)
		assert.ErrorContains(t, err, "run `chmod go-w "+file+"`")
		require.NoError(t, os.Chmod(file, 0o600))
	}
	assert.Empty(t, gcloud.calls(t))
	_, err := token.NewSource(token.Options{Kind: token.Gcloud}).Token(t.Context(), audience)
	require.NoError(t, err)
}

// Not a reason to refuse it: who can read it has it already.
func TestSource_WarnsOfALoginThatOthersCanRead(t *testing.T) {
	e := tokentest.New(t)
	file := tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken)
	require.NoError(t, os.Chmod(file, 0o644))
	log := &logtest.Buffer{}
	s := token.NewSource(token.Options{File: file, TokenURL: e.URL, Logger: slog.New(slog.NewTextHandler(log, nil))})
	for range 3 {
		_, err := s.Token(t.Context(), audience)
		require.NoError(t, err)
	}
	assert.Equal(t, 1, strings.Count(log.String(), "other users of this computer can read your login"))
	require.NoError(t, os.Chmod(file, 0o600))
	_, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(log.String(), "other users of this computer can read your login"))
}
