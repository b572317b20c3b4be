package image

import (
	"bytes"
	"encoding/base64"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var linux = []string{"linux/amd64"}

// source writes a module with one program that prints text.
func source(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/hello\n\ngo 1.24\n")
	write(t, dir, "main.go", "package main\n\nfunc main() { println("+`"`+text+`"`+") }\n")
	return dir
}

func write(t *testing.T, dir, file, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644))
}

func built(t *testing.T, dir string, platforms []string) *Image {
	t.Helper()
	img, err := Build(t.Context(), Source{Dir: dir, Package: ".", Platforms: platforms}, authn.NewMultiKeychain())
	require.NoError(t, err)
	return img
}

func reference(t *testing.T, s string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(s)
	require.NoError(t, err)
	return ref
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestTheSameSourceGivesTheSameDigest(t *testing.T) {
	first := source(t, "hello")
	want := built(t, first, linux)

	t.Run("in another directory", func(t *testing.T) {
		assert.Equal(t, want.Digest, built(t, source(t, "hello"), linux).Digest)
	})
	t.Run("with GOFLAGS empty and with GOFLAGS set", func(t *testing.T) {
		for _, flags := range []string{"", "-mod=mod -buildvcs=true"} {
			t.Setenv("GOFLAGS", flags)
			got := built(t, first, linux)
			assert.Equal(t, want.Digest, got.Digest, "GOFLAGS=%q", flags)
			assert.Equal(t, want.SourceHash, got.SourceHash, "GOFLAGS=%q", flags)
		}
	})
	t.Run("with cgo asked for in the shell", func(t *testing.T) {
		t.Setenv("CGO_ENABLED", "1")
		assert.Equal(t, want.Digest, built(t, first, linux).Digest)
	})
	t.Run("at two commits and with a dirty tree", func(t *testing.T) {
		t.Setenv("GOFLAGS", "")
		git(t, first, "init", "-q")
		git(t, first, "add", ".")
		git(t, first, "commit", "-qm", "one")
		assert.Equal(t, want.Digest, built(t, first, linux).Digest, "first commit")
		git(t, first, "commit", "-qm", "two", "--allow-empty")
		assert.Equal(t, want.Digest, built(t, first, linux).Digest, "second commit")
		write(t, first, "notes.txt", "not part of the program")
		assert.Equal(t, want.Digest, built(t, first, linux).Digest, "dirty tree")
	})
}

func TestAnotherSourceGivesAnotherDigestAndTag(t *testing.T) {
	a, b := built(t, source(t, "hello"), linux), built(t, source(t, "bye"), linux)
	assert.NotEqual(t, a.Digest, b.Digest)
	assert.NotEqual(t, a.Tag(), b.Tag())
}

func TestBuildProblemsAreReportedTogetherAndNameTheValue(t *testing.T) {
	t.Setenv("GOOS", "plan9")
	_, err := Build(t.Context(), Source{Platforms: []string{"linux", "linux/amd64"}}, authn.NewMultiKeychain())
	require.Error(t, err)
	for _, words := range []string{"package to build", `platform "linux"`, "GOOS=plan9"} {
		assert.ErrorContains(t, err, words)
	}
}

func TestWhatCannotBeBuiltSaysWhy(t *testing.T) {
	library := source(t, "x")
	write(t, library, "main.go", "package hello\n")
	broken := source(t, "x")
	write(t, broken, "main.go", "package main\n\nfunc main() { undefined() }\n")

	tests := map[string]struct {
		src  Source
		says string
	}{
		"no such directory": {Source{Dir: library, Package: "./nowhere", Platforms: linux}, "there is no directory"},
		"a library":         {Source{Dir: library, Package: ".", Platforms: linux}, "main package"},
		"broken code":       {Source{Dir: broken, Package: ".", Platforms: linux}, "undefined"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Build(t.Context(), test.src, authn.NewMultiKeychain())
			require.ErrorContains(t, err, test.says)
		})
	}
}

// countingRegistry is a real registry that counts the writes.
func countingRegistry(t *testing.T) (host string, writes *int) {
	t.Helper()
	writes = new(int)
	inner := registry.New(registry.Logger(log.New(&bytes.Buffer{}, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			*writes++
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), writes
}

func TestPushSendsOnlyWhatTheRegistryLacks(t *testing.T) {
	host, writes := countingRegistry(t)
	img := built(t, source(t, "hello"), linux)
	repository := host + "/project/repo/server"

	pushed, err := img.Push(t.Context(), repository, authn.NewMultiKeychain())
	require.NoError(t, err)
	assert.True(t, pushed)

	*writes = 0
	pushed, err = img.Push(t.Context(), repository, authn.NewMultiKeychain())
	require.NoError(t, err)
	assert.False(t, pushed)
	assert.Zero(t, *writes, "nothing is sent twice")

	there, err := remote.Image(reference(t, img.Ref(repository)))
	require.NoError(t, err, "the digest that was announced is the one to pull")
	config, err := there.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, img.SourceHash, config.Config.Labels[LabelSource])
	assert.Equal(t, "65532:65532", config.Config.User)
	assert.Equal(t, "linux", config.OS)
	_, err = remote.Head(reference(t, repository+":"+img.Tag()))
	assert.NoError(t, err, "it has a tag for cleanup rules to keep")
}

func TestSeveralPlatformsGiveAnIndex(t *testing.T) {
	host, _ := countingRegistry(t)
	img := built(t, source(t, "hello"), []string{"linux/amd64", "linux/arm64", "darwin/arm64"})
	repository := host + "/project/repo/server"
	_, err := img.Push(t.Context(), repository, authn.NewMultiKeychain())
	require.NoError(t, err)

	for _, want := range []v1.Platform{{OS: "linux", Architecture: "arm64"}, {OS: "darwin", Architecture: "arm64"}} {
		one, err := remote.Image(reference(t, img.Ref(repository)), remote.WithPlatform(want))
		require.NoError(t, err)
		config, err := one.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, want, *config.Platform())
	}
}

// bill gives the bill of materials that is beside an image.
func bill(t *testing.T, repository, digest string) string {
	t.Helper()
	there, err := remote.Image(reference(t, repository+":"+strings.Replace(digest, ":", "-", 1)+".sbom"))
	require.NoError(t, err)
	layers, err := there.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 1)
	content, err := layers[0].Uncompressed()
	require.NoError(t, err)
	defer content.Close()
	text, err := io.ReadAll(content)
	require.NoError(t, err)
	return string(text)
}

func TestABillOfMaterialsIsBesideEachImage(t *testing.T) {
	host, _ := countingRegistry(t)
	repository := host + "/project/repo/server"
	for _, platforms := range [][]string{linux, {"linux/amd64", "linux/arm64"}} {
		img := built(t, source(t, "hello"), platforms)
		_, err := img.Push(t.Context(), repository, authn.NewMultiKeychain())
		require.NoError(t, err)
		text := bill(t, repository, img.Digest)
		assert.Contains(t, text, "SPDX-2.3")
		assert.Contains(t, text, strings.TrimPrefix(img.Digest, "sha256:"))

		again := built(t, source(t, "hello"), platforms)
		_, err = again.Push(t.Context(), host+"/project/repo/again", authn.NewMultiKeychain())
		require.NoError(t, err)
		assert.Equal(t, text, bill(t, host+"/project/repo/again", again.Digest), "the same source, the same bill")
		tags, err := remote.List(reference(t, img.Ref(host+"/project/repo/again")).Context())
		require.NoError(t, err)
		if len(platforms) == 1 {
			assert.Len(t, tags, img.Versions(), "the image and its bill")
		}
	}
}

func TestABuildStandsOnItsBase(t *testing.T) {
	host, _ := countingRegistry(t)
	random, err := random.Image(64, 2)
	require.NoError(t, err)
	base, err := mutate.ConfigFile(random, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Env: []string{"BASE=yes"}}})
	require.NoError(t, err)
	base, err = mutate.AppendLayers(base, static.NewLayer([]byte("a layer of the base"), types.OCIUncompressedLayer))
	require.NoError(t, err)
	digest, err := base.Digest()
	require.NoError(t, err)
	at := host + "/bases/small@" + digest.String()
	require.NoError(t, remote.Write(reference(t, at), base))

	dir := source(t, "hello")
	img, err := Build(t.Context(), Source{Dir: dir, Package: ".", Platforms: linux, Base: at}, authn.NewMultiKeychain())
	require.NoError(t, err)
	repository := host + "/project/repo/server"
	_, err = img.Push(t.Context(), repository, authn.NewMultiKeychain())
	require.NoError(t, err)
	there, err := remote.Image(reference(t, img.Ref(repository)))
	require.NoError(t, err)
	config, err := there.ConfigFile()
	require.NoError(t, err)
	assert.Contains(t, config.Config.Env, "BASE=yes")
	again, err := Build(t.Context(), Source{Dir: dir, Package: ".", Platforms: linux, Base: at}, authn.NewMultiKeychain())
	require.NoError(t, err)
	assert.Equal(t, img.Digest, again.Digest)
	assert.NotEqual(t, img.Digest, built(t, dir, linux).Digest)

	_, err = Build(t.Context(), Source{Dir: dir, Package: ".", Platforms: linux, Base: host + "/bases/small:latest"}, authn.NewMultiKeychain())
	require.ErrorContains(t, err, "base image")
	_, err = Build(t.Context(), Source{Dir: dir, Package: ".", Platforms: linux, Base: host + "/bases/other@" + digest.String()}, authn.NewMultiKeychain())
	require.ErrorContains(t, err, "pulling the base image")
}

// authorization is what the keychain of an identity gives to a host.
func authorization(t *testing.T, id Identity, host string) authn.AuthConfig {
	t.Helper()
	registry, err := name.NewRegistry(host)
	require.NoError(t, err)
	authenticator, err := id.Keychain(t.Context()).Resolve(registry)
	require.NoError(t, err)
	auth, err := authenticator.Authorization()
	require.NoError(t, err)
	return *auth
}

func TestCredentialsGoToGooglesRegistriesOnly(t *testing.T) {
	id := Identity{AccessToken: "token-of-the-operator"}
	for _, host := range []string{"europe-west1-docker.pkg.dev", "gcr.io", "eu.gcr.io"} {
		assert.Equal(t, "token-of-the-operator", authorization(t, id, host).Password, host)
	}
	for _, host := range []string{
		"europe-west1-docker.pkg.dev.evil.example", "evil-docker.pkg.dev.example", "evilgcr.io",
		"registry.example.com", "192.168.1.10:5000", "localhost.evil.example:5000",
		"europe-west1-docker.pkg.dev:8443",
	} {
		assert.Equal(t, authn.AuthConfig{}, authorization(t, id, host), host)
	}
}

func TestLoopbackGetsNothingButATokenThatWasGivenOutright(t *testing.T) {
	given := authorization(t, Identity{AccessToken: "local-token"}, "127.0.0.1:5000")
	assert.Equal(t, authn.AuthConfig{RegistryToken: "local-token"}, given)
	assert.Equal(t, given, authorization(t, Identity{AccessToken: "local-token"}, "localhost:5000"))

	login := filepath.Join(t.TempDir(), "login.json")
	require.NoError(t, os.WriteFile(login, []byte(`{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"real"}`), 0o600))
	assert.Equal(t, authn.AuthConfig{}, authorization(t, Identity{Credentials: login}, "127.0.0.1:5000"))
	assert.Equal(t, authn.AuthConfig{}, authorization(t, Identity{Impersonate: "deployer@p.iam.gserviceaccount.com"}, "localhost:5000"))
}

func TestARegistryCannotSendTheTokenElsewhere(t *testing.T) {
	var seen []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+elsewhere.URL+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(registry.Close)
	_, err := built(t, source(t, "hello"), linux).Push(t.Context(), strings.TrimPrefix(registry.URL, "http://")+"/p/r/server",
		Identity{AccessToken: "local-token"}.Keychain(t.Context()))
	require.Error(t, err)
	assert.Empty(t, seen)
}

func TestCredentialsThatCannotBeReadAreNamed(t *testing.T) {
	google, err := name.NewRegistry("europe-west1-docker.pkg.dev")
	require.NoError(t, err)
	tests := map[string]string{
		"/nowhere/key.json":        "gcp:credentials",
		"{not json":                "gcp:credentials",
		`{"type":"something_odd"}`: "something_odd",
	}
	for credentials, says := range tests {
		_, err := Identity{Credentials: credentials}.Keychain(t.Context()).Resolve(google)
		require.ErrorContains(t, err, says)
	}
	inBase64 := base64.StdEncoding.EncodeToString([]byte(`{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----"}`))
	_, err = Identity{Credentials: inBase64}.Keychain(t.Context()).Resolve(google)
	require.ErrorContains(t, err, "gcp:credentials: must be the path of a file")
	assert.NotContains(t, err.Error(), inBase64, "it is the key")
}
