//go:build unix

// Package cloudtest is what tests share that need Berth's own server on the local cloud, and
// neither a stack nor the engine: the server's image, behind a front end that checks who
// calls.
package cloudtest

import (
	"archive/tar"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
)

// Ada is the developer who may use the server.
const Ada = "ada@example.com"

// A Cloud runs the server of the client acme until the end of the test.
type Cloud struct {
	Directory *identity.Directory
	TokenURL  string // of the token endpoint
	URL       string // of the service

	invokers atomic.Value // []string
}

// New starts a cloud in which Ada may use the server. env are more variables of the
// server, as NAME=VALUE.
func New(t *testing.T, env ...string) *Cloud {
	t.Helper()
	var handler atomic.Value
	accounts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.Load().(http.Handler).ServeHTTP(w, r) }))
	t.Cleanup(accounts.Close)
	directory, err := identity.New(identity.Options{Issuer: accounts.URL})
	require.NoError(t, err)
	handler.Store(directory.Handler())
	require.NoError(t, directory.AddPerson(Ada))

	c := &Cloud{Directory: directory, TokenURL: accounts.URL + "/token"}
	c.Admit("user:" + Ada)
	c.URL = c.deploy(t, env)
	return c
}

func (c *Cloud) deploy(t *testing.T, env []string) (url string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "server")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "github.com/berth-mcp/berth/server").CombinedOutput()
	require.NoError(t, err, string(out))
	program, err := os.ReadFile(binary)
	require.NoError(t, err)
	layer := imagetest.Layer(t, imagetest.Entry{Header: tar.Header{Name: "/server"}, Content: program})
	registry := imagetest.Registry(t)
	image := imagetest.Push(t, registry, imagetest.Image(t, v1.Config{Entrypoint: []string{"/server"}}, layer))
	images, err := instance.NewImages(instance.ImagesOptions{Registry: registry, Dir: t.TempDir()})
	require.NoError(t, err)
	variables := map[string]string{"BERTH_LISTEN": "127.0.0.1", "BERTH_CLIENT": "acme", "BERTH_IDENTITY": "cloudrun"}
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
	}
	front, err := frontend.New(frontend.Options{
		Directory: c.Directory, Images: images, Projects: map[string]int64{"project": 1},
		Secret: func(string, string) ([]byte, error) { return nil, errors.New("there are no secrets") },
		Policy: func(string) []string { return c.invokers.Load().([]string) },
		Env:    variables,
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, front.Close(t.Context())) })
	url, err = front.Deploy(t.Context(), &runpb.Service{
		Name:     "projects/project/locations/europe-west1/services/acme",
		Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: image}}},
	}, "acme-00001")
	require.NoError(t, err)
	return url
}

// Admit lets these members of IAM policies use the server, and nobody else.
func (c *Cloud) Admit(members ...string) { c.invokers.Store(append([]string{}, members...)) }

// LogIn returns the file of a new login of Ada's.
func (c *Cloud) LogIn(t *testing.T) (file string) {
	t.Helper()
	login, err := c.Directory.Login(Ada)
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "login.json")
	require.NoError(t, os.WriteFile(file, login, 0o600))
	return file
}
