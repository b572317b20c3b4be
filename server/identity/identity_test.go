package identity_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/berth-mcp/berth/server/cloudlog"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/identity/identitytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAModeThatCannotBeTrustedIsRefused(t *testing.T) {
	nowhere := func(string) string { return "" }
	inSidecar := func(name string) string { return map[string]string{"K_SERVICE": "acme"}[name] }
	var none identity.OIDCConfig
	for _, c := range []struct {
		name   string
		mode   identity.Mode
		getenv func(string) string
		oidc   identity.OIDCConfig
		want   string
	}{
		{"no mode", "", onCloudRun, none, "set one of cloudrun, dev, oidc"},
		{"an unknown mode", "none", onCloudRun, none, `"none" is no way of knowing the caller`},
		{"a mode in other letters", "CloudRun", onCloudRun, none, "set one of cloudrun, dev, oidc"},
		{"cloudrun anywhere else", identity.ModeCloudRun, nowhere, none, "K_SERVICE is not set"},
		{"cloudrun in a sidecar", identity.ModeCloudRun, inSidecar, none, "PORT is not set"},
		{"cloudrun with issuers that it would not ask", identity.ModeCloudRun, onCloudRun, identity.OIDCConfig{Resource: "https://acme.example/mcp"}, "mode cloudrun does not ask"},
		{"oidc without issuers", identity.ModeOIDC, onCloudRun, none, "oidc.issuers: there is none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := identity.New(identity.Options{Mode: c.mode, Getenv: c.getenv, OIDC: c.oidc})
			require.ErrorContains(t, err, c.want)
			assert.Nil(t, v)
		})
	}
}

func TestDevTakesEveryoneForTheSame(t *testing.T) {
	v, err := identity.New(identity.Options{Mode: identity.ModeDev, Getenv: func(string) string { return "" }})
	require.NoError(t, err)
	caller, err := v.Verify(request([2]string{authorization, "Bearer " + identitytest.PlatformToken("eve@example.com", nil)}))
	require.NoError(t, err)
	assert.Equal(t, identity.Caller{Issuer: "dev", Subject: "dev@localhost", Email: "dev@localhost", ClaimsByEmail: true, Mode: identity.ModeDev}, caller)
}

func TestRequirePassesTheCallerOn(t *testing.T) {
	var got identity.Caller
	handler := identity.Require(cloudRun(t), slog.New(slog.DiscardHandler), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ = identity.FromContext(r.Context())
	}))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request([2]string{serverless, "Bearer " + identitytest.PlatformToken("ada@example.com", nil)}))
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "ada@example.com", got.Email)
}

func TestRequireRefusesInWordsAndLogsTheReasonButNoToken(t *testing.T) {
	var log bytes.Buffer
	handler := identity.Require(cloudRun(t), cloudlog.New(&log, slog.LevelInfo, ""), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a request without a caller went through")
	}))
	token := identitytest.Token("eve@example.com", nil, "c2lnbmF0dXJl")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request([2]string{authorization, "Bearer " + token}))

	response := w.Result()
	assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
	assert.Equal(t, "application/json", response.Header.Get("Content-Type"))
	assert.Equal(t, `Bearer error="invalid_token"`, response.Header.Get("WWW-Authenticate"))
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	var body struct{ Error, Message string }
	require.NoError(t, json.Unmarshal(raw, &body))
	assert.Equal(t, "unauthenticated", body.Error)
	assert.Contains(t, body.Message, "berth-proxy")

	var record map[string]any
	require.NoError(t, json.Unmarshal(log.Bytes(), &record))
	assert.Equal(t, "WARNING", record["severity"])
	assert.Equal(t, "header Authorization: the token still has its signature, so the platform has not checked it", record["reason"])
	assert.Equal(t, "/mcp", record["path"])
	for _, part := range []string{token, token[:20], "c2lnbmF0dXJl"} {
		assert.NotContains(t, log.String(), part)
		assert.NotContains(t, string(raw), part)
	}
}

func TestAContextWithoutRequireHasNoCaller(t *testing.T) {
	_, ok := identity.FromContext(t.Context())
	assert.False(t, ok)
}
