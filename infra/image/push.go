package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/ko/pkg/build"
	"github.com/sigstore/cosign/v3/pkg/oci"
	"github.com/sigstore/cosign/v3/pkg/oci/walk"
)

// tagDigits of the source hash name an image in its repository: 48 bits, so
// that two of a client's builds never meet.
const tagDigits = 12

// Ref is where the image is, or will be, in a repository such as
// "europe-west1-docker.pkg.dev/project/repository/server".
func (img *Image) Ref(repository string) string {
	return repository + "@" + img.Digest
}

// Tag names the image for people and for cleanup rules, which delete what has
// no tag. It is never what gets deployed.
func (img *Image) Tag() string {
	return "src-" + img.SourceHash[:tagDigits]
}

// Versions is how many versions one push makes of the image's package in its
// repository: each image and index, and the bill of materials of each.
func (img *Image) Versions() int {
	if img.platforms == 1 {
		return 2
	}
	return 2 * (1 + img.platforms)
}

// Push puts the image and its bills of materials into the repository, the image
// under its tag, unless the registry has it there already. pushed says whether
// anything was sent.
func (img *Image) Push(ctx context.Context, repository string, keychain authn.Keychain) (pushed bool, err error) {
	tag, err := name.NewTag(repository + ":" + img.Tag())
	if err != nil {
		return false, fmt.Errorf("image repository %q: %w", repository, err)
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(keychain)}
	there, err := remote.Head(tag, options...)
	switch {
	case err == nil && there.Digest.String() == img.Digest:
		return false, nil
	case err != nil && !notFound(err):
		return false, fmt.Errorf("asking %s for %s: %w", tag.RegistryStr(), tag, err)
	}
	// The image comes last: its tag says that all of it is there.
	if err := pushBills(tag.Context(), img.content, options); err != nil {
		return false, denied(err)
	}
	switch content := img.content.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(tag, content, options...)
	case v1.Image:
		err = remote.Write(tag, content, options...)
	default:
		err = fmt.Errorf("%T is neither an image nor an index", content)
	}
	if err != nil {
		return false, denied(fmt.Errorf("pushing to %s: %w", tag, err))
	}
	return true, nil
}

func denied(err error) error {
	return fmt.Errorf("%w; the identity that runs Pulumi needs roles/artifactregistry.writer there", err)
}

// pushBills puts the bill of materials (SPDX) of the image, or of the index and each
// of its images, where tools look for it: under the tag sha256-DIGEST.sbom.
func pushBills(repository name.Repository, content build.Result, options []remote.Option) error {
	entity, ok := content.(oci.SignedEntity)
	if !ok {
		return fmt.Errorf("%T comes without a bill of materials", content)
	}
	return walk.SignedEntity(context.Background(), entity, func(_ context.Context, one oci.SignedEntity) error {
		digest, err := one.(interface{ Digest() (v1.Hash, error) }).Digest()
		if err != nil {
			return err
		}
		bill, err := one.Attachment("sbom")
		if err != nil {
			return fmt.Errorf("finding the bill of materials of %s: %w", digest, err)
		}
		tag := repository.Tag(fmt.Sprintf("%s-%s.sbom", digest.Algorithm, digest.Hex))
		if err := remote.Write(tag, bill, options...); err != nil {
			return fmt.Errorf("pushing to %s: %w", tag, err)
		}
		return nil
	})
}

func notFound(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}
