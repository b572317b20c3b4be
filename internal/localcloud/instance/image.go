package instance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/singleflight"
)

// googleRegistry ends the host names of Artifact Registry, REGION-docker.pkg.dev.
const googleRegistry = "-docker.pkg.dev"

// defaultMaxImageBytes is a bound for an unpacked image. Cloud Run has none
// but its instances' memory, which is at most 32 GiB; on a developer's disk
// less is plenty.
const defaultMaxImageBytes = 4 << 30

// ImagesOptions configure Images.
type ImagesOptions struct {
	// Registry is the HOST:PORT of the loopback registry that images come
	// from. An image at any REGION-docker.pkg.dev is looked for there under
	// the same path; every other host is refused, so that no pull can leave
	// the machine. Required.
	Registry string
	// Auth is how to sign in at the registry; nil is anonymously.
	Auth authn.Authenticator
	// Dir is where images are unpacked, each in a directory of its digest.
	// Required. It may be kept between runs.
	Dir string
	// MaxBytes bounds the files of an image; 0 is 4 GiB.
	MaxBytes int64
	// Transport is for requests to the registry; nil is a plain one that
	// ignores proxy settings.
	Transport http.RoundTripper
}

// Images pulls and unpacks images. It is safe for concurrent use.
type Images struct {
	registry name.Registry
	auth     authn.Authenticator
	dir      string
	maxBytes int64
	rt       http.RoundTripper
	unpacks  singleflight.Group
}

// Image is an image unpacked for the host.
type Image struct {
	// Digest of the image's own manifest, also where an index was asked for.
	Digest v1.Hash
	// Root is the directory that holds the image's files.
	Root string
	// Config says what to run.
	Config v1.Config
}

// NewImages checks the options and prepares Dir.
func NewImages(o ImagesOptions) (*Images, error) {
	host, _, err := net.SplitHostPort(o.Registry)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("instance: Registry is %q: give the HOST:PORT of a loopback address", o.Registry)
	}
	registry, err := name.NewRegistry(o.Registry, name.Insecure)
	if err != nil {
		return nil, fmt.Errorf("instance: Registry is %q: %w", o.Registry, err)
	}
	if o.Dir == "" {
		return nil, errors.New("instance: Dir is empty: give a directory for unpacked images")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("instance: finding the directory for images: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("instance: making the directory for images: %w", err)
	}
	i := &Images{registry: registry, auth: o.Auth, dir: dir, maxBytes: o.MaxBytes, rt: o.Transport}
	if i.auth == nil {
		i.auth = authn.Anonymous
	}
	if i.maxBytes == 0 {
		i.maxBytes = defaultMaxImageBytes
	}
	if i.rt == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy = nil
		t.DisableKeepAlives = true // a pull is rare: nothing should linger after it
		i.rt = t
	}
	return i, nil
}

// Pull returns the image that a reference by digest names, for the host's
// operating system and architecture, unpacked. An image that was unpacked
// before is not fetched again.
func (i *Images) Pull(ctx context.Context, reference string) (*Image, error) {
	ref, err := i.locate(reference)
	if err != nil {
		return nil, err
	}
	image, err := i.resolve(ctx, ref, reference)
	if err != nil {
		return nil, err
	}
	digest, err := image.Digest()
	if err != nil {
		return nil, fmt.Errorf("reading the digest of image %s: %w", reference, err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the config of image %s: %w", reference, err)
	}
	if err := checkPlatform(reference, []v1.Platform{{OS: config.OS, Architecture: config.Architecture}}); err != nil {
		return nil, err
	}
	root := filepath.Join(i.dir, digest.Algorithm+"-"+digest.Hex)
	for {
		_, err, shared := i.unpacks.Do(root, func() (any, error) { return nil, unpackOnce(image, root, i.maxBytes) })
		if shared && errors.Is(err, context.Canceled) && ctx.Err() == nil {
			continue // another caller, who was unpacking it for both, gave up
		}
		if err != nil {
			return nil, fmt.Errorf("unpacking image %s: %w", reference, err)
		}
		break
	}
	return &Image{Digest: digest, Root: root, Config: config.Config}, nil
}

// locate maps a reference to the loopback registry.
func (i *Images) locate(reference string) (name.Digest, error) {
	ref, err := name.NewDigest(reference)
	if err != nil {
		return name.Digest{}, fmt.Errorf("image %q: not a reference by digest: give one such as HOST/PROJECT/REPOSITORY/NAME@sha256:…", reference)
	}
	host := ref.RegistryStr()
	if host != i.registry.RegistryStr() && !strings.HasSuffix(host, googleRegistry) {
		return name.Digest{}, fmt.Errorf("image %q: registry %s is not served on this machine: push the image to %s", reference, host, i.registry)
	}
	return i.registry.Repo(ref.RepositoryStr()).Digest(ref.DigestStr()), nil
}

// resolve fetches the manifest, and from an index the entry for the host.
func (i *Images) resolve(ctx context.Context, ref name.Digest, reference string) (v1.Image, error) {
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuth(i.auth), remote.WithTransport(i.rt)}
	descriptor, err := remote.Get(ref, options...)
	if err != nil {
		return nil, fmt.Errorf("pulling image %s: %w", reference, err)
	}
	if !descriptor.MediaType.IsIndex() {
		return wrapPull(reference)(descriptor.Image())
	}
	index, err := descriptor.ImageIndex()
	if err != nil {
		return nil, fmt.Errorf("pulling image %s: %w", reference, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("reading the index of image %s: %w", reference, err)
	}
	var offered []v1.Platform
	for _, entry := range manifest.Manifests {
		if entry.Platform == nil || entry.Platform.OS == "unknown" {
			continue // an attestation, not something to run
		}
		if forHost(*entry.Platform) {
			return wrapPull(reference)(index.Image(entry.Digest))
		}
		offered = append(offered, *entry.Platform)
	}
	return nil, checkPlatform(reference, offered)
}

func wrapPull(reference string) func(v1.Image, error) (v1.Image, error) {
	return func(image v1.Image, err error) (v1.Image, error) {
		if err != nil {
			return nil, fmt.Errorf("pulling image %s: %w", reference, err)
		}
		return image, nil
	}
}

func forHost(p v1.Platform) bool { return p.OS == runtime.GOOS && p.Architecture == runtime.GOARCH }

// checkPlatform fails if an image offers nothing that runs on the host.
func checkPlatform(reference string, offered []v1.Platform) error {
	if slices.ContainsFunc(offered, forHost) {
		return nil
	}
	var names []string
	for _, p := range offered {
		names = append(names, p.OS+"/"+p.Architecture)
	}
	if len(names) == 0 {
		names = []string{"no platform"}
	}
	host := runtime.GOOS + "/" + runtime.GOARCH
	return fmt.Errorf("image %s is for %s, but an instance runs as a process of this machine, which is %s: add %s to `platforms` in the stack's config and build again",
		reference, strings.Join(names, ", "), host, host)
}
