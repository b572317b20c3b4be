// Package imagetest gives tests real images: a small compiled program,
// packaged, in a real registry on loopback.
package imagetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// Registry starts an empty registry and returns its HOST:PORT.
func Registry(t testing.TB) string {
	t.Helper()
	host, stop := StartRegistry()
	t.Cleanup(stop)
	return host
}

// StartRegistry starts an empty registry for several tests.
func StartRegistry() (host string, stop func()) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	return strings.TrimPrefix(server.URL, "http://"), server.Close
}

// Layer makes a layer of archive entries. A header without Typeflag is a file
// of the given content.
func Layer(t testing.TB, entries ...Entry) v1.Layer {
	t.Helper()
	l, err := layer(entries)
	require.NoError(t, err)
	return l
}

func layer(entries []Entry) (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, entry := range entries {
		header := entry.Header
		if header.Typeflag == 0 {
			header.Typeflag = tar.TypeReg
		}
		if header.Mode == 0 {
			header.Mode = 0o555
		}
		header.Size = int64(len(entry.Content))
		if err := w.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := w.Write(entry.Content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	content := archive.Bytes()
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestSpeed))
}

// Entry of a Layer.
type Entry struct {
	tar.Header
	Content []byte
}

// Image makes an image for the host's platform.
func Image(t testing.TB, config v1.Config, layers ...v1.Layer) v1.Image {
	t.Helper()
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: runtime.GOOS, Architecture: runtime.GOARCH})
	require.NoError(t, err)
	image, err = mutate.AppendLayers(image, layers...)
	require.NoError(t, err)
	image, err = mutate.Config(image, config)
	require.NoError(t, err)
	return image
}

// Program returns an image of the program in testdata, with these variables.
func Program(t testing.TB, env ...string) v1.Image {
	t.Helper()
	layer, err := programLayer()
	require.NoError(t, err)
	return Image(t, v1.Config{Entrypoint: []string{"/app/program"}, Cmd: []string{"from", "image"}, Env: env, WorkingDir: "/data"}, layer)
}

// Push pushes an image and returns its reference by digest.
func Push(t testing.TB, host string, image v1.Image) string {
	t.Helper()
	digest, err := image.Digest()
	require.NoError(t, err)
	ref, err := name.NewDigest(host + "/project/berth/program@" + digest.String())
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, image))
	return ref.String()
}

// PushIndex pushes an index of images by platform ("linux/amd64") and returns
// its reference by digest.
func PushIndex(t testing.TB, host string, images map[string]v1.Image) string {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for platform, image := range images {
		p, err := v1.ParsePlatform(platform)
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: p}})
	}
	digest, err := index.Digest()
	require.NoError(t, err)
	ref, err := name.NewDigest(host + "/project/berth/program@" + digest.String())
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(ref, index))
	return ref.String()
}

// programLayer compiles and packs the program once for all tests of a package.
var programLayer = sync.OnceValues(func() (v1.Layer, error) {
	binary, err := compile()
	if err != nil {
		return nil, err
	}
	return layer([]Entry{{Header: tar.Header{Name: "/app/program"}, Content: binary}})
})

func compile() ([]byte, error) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return nil, fmt.Errorf("finding the program's source")
	}
	dir, err := os.MkdirTemp("", "imagetest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, ".")
	build.Dir = filepath.Join(filepath.Dir(here), "testdata", "program")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compiling the program: %w\n%s", err, out)
	}
	return os.ReadFile(binary)
}
