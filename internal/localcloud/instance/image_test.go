package instance_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/instance"
	"github.com/berth-mcp/berth/internal/localcloud/instance/imagetest"
)

const host = runtime.GOOS + "/" + runtime.GOARCH

func newImages(t *testing.T, registry string) *instance.Images {
	t.Helper()
	images, err := instance.NewImages(instance.ImagesOptions{Registry: registry, Dir: t.TempDir()})
	require.NoError(t, err)
	return images
}

func file(name, content string) imagetest.Entry {
	return imagetest.Entry{Header: tar.Header{Name: name}, Content: []byte(content)}
}

func link(kind byte, name, target string) imagetest.Entry {
	return imagetest.Entry{Header: tar.Header{Name: name, Typeflag: kind, Linkname: target}}
}

func dir(name string) imagetest.Entry {
	return imagetest.Entry{Header: tar.Header{Name: name, Typeflag: tar.TypeDir}}
}

func pull(t *testing.T, layers ...v1.Layer) (*instance.Image, error) {
	t.Helper()
	registry := imagetest.Registry(t)
	ref := imagetest.Push(t, registry, imagetest.Image(t, v1.Config{}, layers...))
	return newImages(t, registry).Pull(t.Context(), ref)
}

func TestPullUnpacksLayersOverEachOther(t *testing.T) {
	image, err := pull(t,
		imagetest.Layer(t,
			dir("usr/bin"), link(tar.TypeSymlink, "bin", "/usr/bin"), file("usr/bin/tool", "old"), file("usr/bin/gone", "x"),
			file("opaque/lower", "x"), file("shape", "a file"), dir("tree"), file("tree/leaf", "x"),
		),
		imagetest.Layer(t,
			file("bin/tool", "new"), file("bin/.wh.gone", ""), file("opaque/upper", "kept"), file("opaque/.wh..wh..opq", ""),
			dir("shape"), file("shape/inside", "y"), file("tree", "now a file"), link(tar.TypeLink, "hard", "/usr/bin/tool"),
			link(tar.TypeSymlink, "etc/absolute", "/usr/bin/tool"), link(tar.TypeSymlink, "etc/climbing", "../../../../usr/bin/tool"),
			link(tar.TypeLink, "hard-to-soft", "etc/absolute"),
			imagetest.Entry{Header: tar.Header{Name: "dev/null", Typeflag: tar.TypeChar}},
		),
	)
	require.NoError(t, err)

	for name, want := range map[string]string{
		"usr/bin/tool": "new", "bin/tool": "new", "opaque/upper": "kept", "shape/inside": "y", "tree": "now a file",
		"hard": "new", "etc/absolute": "new", "etc/climbing": "new", "hard-to-soft": "new",
	} {
		content, err := os.ReadFile(filepath.Join(image.Root, name))
		require.NoError(t, err, name)
		assert.Equal(t, want, string(content), name)
	}
	for _, name := range []string{"usr/bin/gone", "opaque/lower", "opaque/.wh..wh..opq", "dev/null"} {
		assert.NoFileExists(t, filepath.Join(image.Root, name))
	}
	target, err := os.Readlink(filepath.Join(image.Root, "etc/absolute"))
	require.NoError(t, err)
	assert.Equal(t, "../usr/bin/tool", target, "an absolute link stays in the image")
}

func TestPullRefusesLayersThatReachOutOfTheImage(t *testing.T) {
	tests := []struct {
		name    string
		entries []imagetest.Entry
		says    string
	}{
		{"a name that climbs", []imagetest.Entry{file("../evil", "x")}, "could leave the image"},
		{"a name that climbs on the way", []imagetest.Entry{file("a/../../evil", "x")}, "could leave the image"},
		{"an absolute name that climbs", []imagetest.Entry{file("/../evil", "x")}, "could leave the image"},
		{"a hard link to above", []imagetest.Entry{link(tar.TypeLink, "l", "../../etc/passwd")}, "could leave the image"},
		{"a hard link to nothing", []imagetest.Entry{link(tar.TypeLink, "l", "etc/passwd")}, "no such file"},
		{"a whiteout of the parent", []imagetest.Entry{file("a/.wh...", "")}, "a whiteout of nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := pull(t, imagetest.Layer(t, tt.entries...))
			require.ErrorContains(t, err, tt.says)
			assert.ErrorContains(t, err, "entry ", "names the entry")
		})
	}
}

func TestLinksNeverWriteOutsideOfTheImage(t *testing.T) {
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "mine"), []byte("untouched"), 0o600))
	image, err := pull(t, imagetest.Layer(t,
		link(tar.TypeSymlink, "absolute", outside),
		link(tar.TypeSymlink, "climbing", "../../../../../../../../.."+outside),
		dir("deep/er"),
		link(tar.TypeSymlink, "deep/er/up", "/"),
		link(tar.TypeSymlink, "deep/er/up/by-way-of-a-link", "../../.."+outside),
	), imagetest.Layer(t, dir("top"), file("deep/er/up/top/made", "in the image")))
	require.NoError(t, err)
	for _, name := range []string{"absolute", "climbing", "by-way-of-a-link"} {
		assert.NoFileExists(t, filepath.Join(image.Root, name, "mine"), name+" leads to the host's files")
	}
	assert.FileExists(t, filepath.Join(image.Root, "top", "made"))

	_, err = pull(t, imagetest.Layer(t, link(tar.TypeSymlink, "absolute", outside)), imagetest.Layer(t, file("absolute/mine", "overwritten")))
	require.Error(t, err, "there is no such directory in the image")
	content, err := os.ReadFile(filepath.Join(outside, "mine"))
	require.NoError(t, err)
	assert.Equal(t, "untouched", string(content))
}

func TestPullBoundsTheSizeOfAnImage(t *testing.T) {
	registry, dir := imagetest.Registry(t), t.TempDir()
	ref := imagetest.Push(t, registry, imagetest.Image(t, v1.Config{}, imagetest.Layer(t, file("a", "12345")), imagetest.Layer(t, file("b", "12345"))))
	images, err := instance.NewImages(instance.ImagesOptions{Registry: registry, Dir: dir, MaxBytes: 9})
	require.NoError(t, err)
	_, err = images.Pull(t.Context(), ref)
	require.ErrorContains(t, err, "larger than the bound")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries, "nothing half done is left")
}

func TestPullPicksTheHostsPlatformFromAnIndex(t *testing.T) {
	registry := imagetest.Registry(t)
	image := imagetest.Image(t, v1.Config{}, imagetest.Layer(t, file("here", "x")))
	other := imagetest.Image(t, v1.Config{}, imagetest.Layer(t, file("there", "x")))
	ref := imagetest.PushIndex(t, registry, map[string]v1.Image{host: image, "plan9/mips": other})
	got, err := newImages(t, registry).Pull(t.Context(), ref)
	require.NoError(t, err)
	want, err := image.Digest()
	require.NoError(t, err)
	assert.Equal(t, want, got.Digest)
	assert.FileExists(t, filepath.Join(got.Root, "here"))
}

func TestPullRefusesAnImageForOtherPlatforms(t *testing.T) {
	registry := imagetest.Registry(t)
	foreign, err := mutate.ConfigFile(imagetest.Image(t, v1.Config{}), &v1.ConfigFile{OS: "plan9", Architecture: "mips"})
	require.NoError(t, err)
	tests := []struct {
		name, ref, platforms string
	}{
		{"a single image", imagetest.Push(t, registry, foreign), "plan9/mips"},
		{"an index", imagetest.PushIndex(t, registry, map[string]v1.Image{"plan9/mips": foreign}), "plan9/mips"},
		{"an index of attestations alone", imagetest.PushIndex(t, registry, map[string]v1.Image{"unknown/unknown": foreign}), "no platform"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newImages(t, registry).Pull(t.Context(), tt.ref)
			for _, part := range []string{tt.ref, tt.platforms, host, "`platforms`"} {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

func TestPullLooksInTheLoopbackRegistryAlone(t *testing.T) {
	registry := imagetest.Registry(t)
	ref := imagetest.Push(t, registry, imagetest.Image(t, v1.Config{}, imagetest.Layer(t, file("a", "x"))))
	images := newImages(t, registry)
	path := ref[len(registry):]

	_, err := images.Pull(t.Context(), "europe-west1-docker.pkg.dev"+path)
	require.NoError(t, err, "Artifact Registry's host stands for the registry here")
	for reference, says := range map[string]string{
		"gcr.io" + path:         "not served on this machine",
		"127.0.0.1:1" + path:    "not served on this machine",
		"program:latest":        "by digest",
		"docker.pkg.dev" + path: "not served on this machine",
	} {
		_, err := images.Pull(t.Context(), reference)
		require.ErrorContains(t, err, says, reference)
	}
	for _, registry := range []string{"", "gcr.io", "gcr.io:443", "10.0.0.1:80", "127.0.0.1"} {
		_, err := instance.NewImages(instance.ImagesOptions{Registry: registry, Dir: t.TempDir()})
		require.ErrorContains(t, err, "loopback", registry)
	}
}

func TestManyPullsOfOneImageAtOnceUnpackItOnce(t *testing.T) {
	registry := imagetest.Registry(t)
	ref := imagetest.Push(t, registry, imagetest.Image(t, v1.Config{}, imagetest.Layer(t, file("a", "x"))))
	images := newImages(t, registry)
	var wg sync.WaitGroup
	roots := make([]string, 8)
	for i := range roots {
		wg.Go(func() {
			image, err := images.Pull(t.Context(), ref)
			if assert.NoError(t, err) {
				roots[i] = image.Root
			}
		})
	}
	wg.Wait()
	for _, root := range roots {
		assert.Equal(t, roots[0], root)
		assert.FileExists(t, filepath.Join(root, "a"))
	}
}
