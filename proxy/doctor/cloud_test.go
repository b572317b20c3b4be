//go:build unix

package doctor_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/berth-mcp/berth/internal/localcloud/cloudtest"
	"github.com/berth-mcp/berth/proxy/doctor"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
)

// A cloud is one with a login in it.
type cloud struct {
	*cloudtest.Cloud
	login string // file of Ada's
}

func newCloud(t *testing.T) cloud {
	t.Helper()
	c := cloudtest.New(t)
	return cloud{Cloud: c, login: c.LogIn(t)}
}

func (c cloud) doctor(t *testing.T, tokens relay.TokenSource) *doctor.Doctor {
	t.Helper()
	if tokens == nil {
		tokens = token.NewSource(token.Options{File: c.login, TokenURL: c.TokenURL})
	}
	return newDoctor(t, tokens, "acme="+c.URL)
}

func TestADeveloperOnTheLocalCloudIsToldHowFarTheyGet(t *testing.T) {
	c := newCloud(t)
	t.Run("who may use the server", func(t *testing.T) {
		results := c.doctor(t, nil).Run(t.Context())
		told(t, results, map[string]string{
			"login":  "ok: signed in as ada@example.com",
			"token":  "ok: from http://127.0.0.1:",
			"clock":  "ok: agrees with the server of acme",
			"name":   "skipped: the URL has an address",
			"reach":  "ok: answers at 127.0.0.1:",
			"tls":    "skipped: not used on this computer",
			"closed": "ok: who has no login is refused (401)",
			"access": "ok: ada@example.com may use it",
			"mcp":    "ok: berth-portal",
			"proxy":  "warning: nothing listens on port",
			"editor": "warning: no editor leads to the proxy",
		})
		assert.Equal(t, doctor.Warning, doctor.Worst(results))
	})
	t.Run("who was taken off", func(t *testing.T) {
		c.Admit()
		defer c.Admit("user:" + cloudtest.Ada)
		results := c.doctor(t, nil).Run(t.Context())
		told(t, results, map[string]string{
			"login":  "ok",
			"closed": "ok",
			"access": "failed: ada@example.com may not use acme: ask",
			"mcp":    "skipped",
		})
		assert.Equal(t, doctor.Failed, doctor.Worst(results))
	})
	t.Run("whose token is not believed", func(t *testing.T) {
		forged := newEndpoint(t)
		told(t, c.doctor(t, forged.source).Run(t.Context()), map[string]string{
			"login": "ok", "access": "failed: Cloud Run does not accept the login of ada@example.com for acme: run `gcloud auth application-default login`",
		})
	})
	t.Run("who has no login", func(t *testing.T) {
		none := token.NewSource(token.Options{File: filepath.Join(t.TempDir(), "none.json"), TokenURL: c.TokenURL})
		told(t, c.doctor(t, none).Run(t.Context()), map[string]string{
			"login": "failed: there is no login at", "token": "skipped", "reach": "ok", "closed": "ok",
			"access": "failed: cannot sign in to acme: there is no login at", "mcp": "skipped",
		})
	})
	t.Run("whose login has ended", func(t *testing.T) {
		c.Directory.Logout(cloudtest.Ada)
		told(t, c.doctor(t, nil).Run(t.Context()), map[string]string{
			"login": "failed: your login in " + c.login + " has expired or was revoked (invalid_grant): run `gcloud auth application-default login`", "token": "skipped",
		})
	})
}
