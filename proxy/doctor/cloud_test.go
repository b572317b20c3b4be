//go:build unix

package doctor_test

import (
	"archive/tar"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/frontend"
	"github.com/berth-mcp/berth/internal/localcloud/identity"
	"github.com/berth-mcp/berth/internal/localcloud/instance"
	"github.com/berth-mcp/berth/internal/localcloud/instance/imagetest"
	"github.com/berth-mcp/berth/proxy/doctor"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
)

const ada = "ada@example.com"

// A cloud runs Berth's own server behind a front end that checks its callers.
type cloud struct {
	directory *identity.Directory
	tokenURL  string
	login     string // file of ada's
	url       string // of the service
	invokers  *atomic.Value
}

func newCloud(t *testing.T) cloud {
	t.Helper()
	var handler atomic.Value
	accounts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.Load().(http.Handler).ServeHTTP(w, r) }))
	t.Cleanup(accounts.Close)
	directory, err := identity.New(identity.Options{Issuer: accounts.URL})
	require.NoError(t, err)
	handler.Store(directory.Handler())
	require.NoError(t, directory.AddPerson(ada))

	c := cloud{directory: directory, tokenURL: accounts.URL + "/token", invokers: &atomic.Value{}}
	c.invokers.Store([]string{"user:" + ada})
	c.login = c.logIn(t)

	binary := filepath.Join(t.TempDir(), "server")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/berth-mcp/berth/server").CombinedOutput()
	require.NoError(t, err, string(out))
	program, err := os.ReadFile(binary)
	require.NoError(t, err)
	layer := imagetest.Layer(t, imagetest.Entry{Header: tar.Header{Name: "/server"}, Content: program})
	registry := imagetest.Registry(t)
	image := imagetest.Push(t, registry, imagetest.Image(t, v1.Config{Entrypoint: []string{"/server"}}, layer))
	images, err := instance.NewImages(instance.ImagesOptions{Registry: registry, Dir: t.TempDir()})
	require.NoError(t, err)
	front, err := frontend.New(frontend.Options{
		Directory: directory, Images: images, Projects: map[string]int64{"project": 1},
		Secret: func(string, string) ([]byte, error) { return nil, errors.New("there are no secrets") },
		Policy: func(string) []string { return c.invokers.Load().([]string) },
		Env:    map[string]string{"BERTH_LISTEN": "127.0.0.1", "BERTH_CLIENT": "acme", "BERTH_IDENTITY": "cloudrun"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, front.Close(t.Context())) })
	c.url, err = front.Deploy(t.Context(), &runpb.Service{
		Name:     "projects/project/locations/europe-west1/services/acme",
		Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: image}}},
	}, "acme-00001")
	require.NoError(t, err)
	return c
}

func (c cloud) logIn(t *testing.T) (file string) {
	t.Helper()
	login, err := c.directory.Login(ada)
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "login.json")
	require.NoError(t, os.WriteFile(file, login, 0o600))
	return file
}

func (c cloud) doctor(t *testing.T, tokens relay.TokenSource) *doctor.Doctor {
	t.Helper()
	if tokens == nil {
		tokens = token.NewSource(token.Options{File: c.login, TokenURL: c.tokenURL})
	}
	return newDoctor(t, tokens, "acme="+c.url)
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
		c.invokers.Store([]string{})
		defer c.invokers.Store([]string{"user:" + ada})
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
		none := token.NewSource(token.Options{File: filepath.Join(t.TempDir(), "none.json"), TokenURL: c.tokenURL})
		told(t, c.doctor(t, none).Run(t.Context()), map[string]string{
			"login": "failed: there is no login at", "token": "skipped", "reach": "ok", "closed": "ok",
			"access": "failed: cannot sign in to acme: there is no login at", "mcp": "skipped",
		})
	})
	t.Run("whose login has ended", func(t *testing.T) {
		c.directory.Logout(ada)
		told(t, c.doctor(t, nil).Run(t.Context()), map[string]string{
			"login": "failed: your login in " + c.login + " has expired or was revoked (invalid_grant): run `gcloud auth application-default login`", "token": "skipped",
		})
	})
}
