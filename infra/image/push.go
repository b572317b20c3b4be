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

// Push puts the image into the repository under its tag, unless the registry
// has it there already. pushed says whether anything was sent.
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
	switch content := img.content.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(tag, content, options...)
	case v1.Image:
		err = remote.Write(tag, content, options...)
	default:
		err = fmt.Errorf("%T is neither an image nor an index", content)
	}
	if err != nil {
		return false, fmt.Errorf("pushing to %s: %w; the identity that runs Pulumi needs roles/artifactregistry.writer there", tag, err)
	}
	return true, nil
}

func notFound(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}
