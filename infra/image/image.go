// Package image turns Go source into an OCI image and puts it into a registry,
// with its bill of materials beside it, no Docker daemon and, unless one is
// asked for, no base image to pull.
//
// A build is reproducible: the same source, Go version and platforms give the
// same digest on every machine, at every commit, with a clean or a dirty tree.
// That is what lets a preview show the very digest that an update deploys.
//
// It knows nothing of Pulumi, of clients or of Cloud Run.
package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/ko/pkg/build"
	"golang.org/x/tools/go/packages"
)

// LabelSource is the image label that holds [Image.SourceHash].
const LabelSource = "dev.berth.source"

// user is the "nonroot" of distroless images, the customary unprivileged user
// of an image that has no /etc/passwd.
const user = "65532:65532"

// Source says what to build.
type Source struct {
	// Dir is the directory of the Go module that Package is resolved in.
	Dir string
	// Package is the main package: a directory ("./server", or absolute) or an
	// import path that the module in Dir requires.
	Package string
	// Base is the image to build on, by digest. Empty means an empty one.
	Base string
	// Platforms to build for, as "os/arch[/variant]". One gives an image,
	// several give an index.
	Platforms []string
}

// Image is a built image, or an index of images, that is nowhere yet but here.
type Image struct {
	// Digest as the registry will know it: "sha256:…".
	Digest string
	// SourceHash identifies what was built from: 64 hex digits.
	SourceHash string

	content   build.Result
	platforms int
}

// Build compiles the source and wraps it into an image. The binary is static, so
// that on an empty base it lacks nothing. A base is pulled with the keychain. All
// problems of src are reported together.
func Build(ctx context.Context, src Source, keychain authn.Keychain) (*Image, error) {
	if err := src.validate(); err != nil {
		return nil, err
	}
	dir, pkg, err := src.locate(ctx)
	if err != nil {
		return nil, err
	}
	hash, err := sourceHash(ctx, dir, pkg, src.Base, src.Platforms)
	if err != nil {
		return nil, err
	}
	base, err := pullBase(ctx, src, keychain)
	if err != nil {
		return nil, err
	}
	builder, err := newBuilder(ctx, dir, pkg, hash, src.Platforms, base)
	if err != nil {
		return nil, fmt.Errorf("preparing to build %s: %w", src.Package, err)
	}
	ref := build.StrictScheme + pkg
	if err := builder.IsSupportedReference(ref); err != nil {
		return nil, fmt.Errorf("%s cannot be made an image: %w; name the directory or import path of a main package", src.Package, err)
	}
	content, err := builder.Build(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", src.Package, err)
	}
	digest, err := content.Digest()
	if err != nil {
		return nil, fmt.Errorf("computing the digest of %s: %w", src.Package, err)
	}
	return &Image{Digest: digest.String(), SourceHash: hash, content: content, platforms: len(src.Platforms)}, nil
}

func (src Source) validate() error {
	var problems []error
	if src.Package == "" {
		problems = append(problems, errors.New("package to build: is empty; name a main package, like ./server"))
	}
	if len(src.Platforms) == 0 {
		problems = append(problems, errors.New("platforms: none given; Cloud Run runs linux/amd64"))
	}
	for _, p := range src.Platforms {
		if platform, err := v1.ParsePlatform(p); err != nil || platform.OS == "" || platform.Architecture == "" {
			problems = append(problems, fmt.Errorf("platform %q: want os/arch, like linux/amd64", p))
		}
	}
	if src.Base != "" {
		if _, err := name.NewDigest(src.Base, name.StrictValidation); err != nil {
			problems = append(problems, fmt.Errorf("base image %q: %w; name it by digest, as HOST/PATH@sha256:DIGEST", src.Base, err))
		}
	}
	// The go command lets these win over the platform that is asked for, and
	// the image would hold a binary that is not what its config says.
	for _, v := range []string{"GOOS", "GOARCH"} {
		if os.Getenv(v) != "" {
			problems = append(problems, fmt.Errorf("%s=%s is set in the environment: unset it, images are built for the configured platforms", v, os.Getenv(v)))
		}
	}
	return errors.Join(problems...)
}

// locate gives the directory to run the go command in and the import path of
// the main package as seen from there.
func (src Source) locate(ctx context.Context) (dir, pkg string, err error) {
	dir, pattern := src.Dir, src.Package
	if filepath.IsAbs(pattern) || strings.HasPrefix(pattern, ".") {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(dir, pattern)
		}
		if info, err := os.Stat(pattern); err != nil || !info.IsDir() {
			return "", "", fmt.Errorf("package to build %q: there is no directory %s", src.Package, pattern)
		}
		dir, pattern = pattern, "."
	}
	found, err := packages.Load(&packages.Config{Context: ctx, Mode: packages.NeedName, Dir: dir}, pattern)
	if err != nil {
		return "", "", fmt.Errorf("package to build %q: %w", src.Package, err)
	}
	if len(found) != 1 {
		return "", "", fmt.Errorf("package to build %q: is %d packages; name one", src.Package, len(found))
	}
	return dir, found[0].PkgPath, nil
}

// base is what a binary is put on, and what it is called.
type base struct {
	ref     name.Reference
	content build.Result
}

func pullBase(ctx context.Context, src Source, keychain authn.Keychain) (base, error) {
	if src.Base == "" {
		content, err := scratch(src.Platforms)
		return base{ref: name.MustParseReference("scratch"), content: content}, err
	}
	ref, err := name.NewDigest(src.Base, name.StrictValidation)
	if err != nil {
		return base{}, fmt.Errorf("base image %q: %w", src.Base, err)
	}
	found, err := remote.Get(ref, remote.WithContext(ctx), remote.WithAuthFromKeychain(keychain))
	if err != nil {
		return base{}, fmt.Errorf("pulling the base image %s: %w", ref, err)
	}
	var content build.Result
	if found.MediaType.IsIndex() {
		content, err = found.ImageIndex()
	} else {
		content, err = found.Image()
	}
	if err != nil {
		return base{}, fmt.Errorf("reading the base image %s: %w", ref, err)
	}
	return base{ref: ref, content: content}, nil
}

func newBuilder(ctx context.Context, dir, pkg, sourceHash string, platforms []string, on base) (build.Interface, error) {
	return build.NewGo(ctx, dir,
		build.WithPlatforms(platforms...),
		build.WithBaseImages(func(context.Context, string) (name.Reference, build.Result, error) {
			return on.ref, on.content, nil
		}),
		build.WithTrimpath(true),
		build.WithSPDX("devel"), // a version of its own would be another bill for the same image
		build.WithLabel(LabelSource, sourceHash),
		build.WithConfig(map[string]build.Config{pkg: {
			// The commit would make every commit a new digest.
			Flags:   build.FlagArray{"-buildvcs=false", "-trimpath"},
			Ldflags: build.StringArray{"-s", "-w"},
			// What a developer's shell may hold must not reach the binary.
			Env: []string{"CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0"},
		}}),
	)
}

// scratch is an empty base for the platforms: an image for one, an index for
// several, as the built thing will be.
func scratch(platforms []string) (build.Result, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		platform, err := v1.ParsePlatform(p)
		if err != nil {
			return nil, fmt.Errorf("platform %q: %w", p, err)
		}
		img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
			OS:           platform.OS,
			Architecture: platform.Architecture,
			Variant:      platform.Variant,
			RootFS:       v1.RootFS{Type: "layers"},
			Config:       v1.Config{User: user, WorkingDir: "/"},
		})
		if err != nil {
			return nil, fmt.Errorf("making an empty base for %s: %w", p, err)
		}
		img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
		if len(platforms) == 1 {
			return img, nil
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        img,
			Descriptor: v1.Descriptor{Platform: platform},
		})
	}
	return index, nil
}
