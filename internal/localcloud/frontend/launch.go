package frontend

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/berth-mcp/berth/internal/localcloud/instance"
	"github.com/berth-mcp/berth/internal/localcloud/metadata"
)

// launcher starts the instances of one revision.
type launcher struct {
	options  Options
	service  string // projects/P/locations/L/services/S
	revision string
	template template
	images   []*instance.Image // of the containers, in their order
	output   func(container, stream, line string)
}

// pull gets the images of a template.
func pull(ctx context.Context, images *instance.Images, t template) ([]*instance.Image, error) {
	var pulled []*instance.Image
	for _, c := range t.containers {
		image, err := images.Pull(ctx, c.image)
		if err != nil {
			return nil, err
		}
		pulled = append(pulled, image)
	}
	return pulled, nil
}

// start starts an instance, with a metadata server of its own that ends with
// it. Secrets are read anew for each instance, as the service's own account.
func (l *launcher) start(ctx context.Context) (*instance.Instance, error) {
	server, err := metadata.Start(l.identity(), l.options.Directory)
	if err != nil {
		return nil, err
	}
	spec, err := l.spec(server.Addr())
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	spec.Closing = func() { _ = server.Close() } // its port is free in any case
	return instance.Start(ctx, spec)
}

func (l *launcher) identity() metadata.Instance {
	segments := strings.Split(l.service, "/")
	id := make([]byte, 32)
	rand.Read(id)
	return metadata.Instance{
		ID:            hex.EncodeToString(id),
		ProjectID:     segments[1],
		ProjectNumber: l.options.Projects[segments[1]],
		Region:        segments[3],
		Account:       l.template.account,
	}
}

// spec is what to run, with the secrets in it.
func (l *launcher) spec(metadataAddr string) (instance.Spec, error) {
	spec := instance.Spec{
		Service: path.Base(l.service), Revision: l.revision, Grace: l.options.Grace, Output: l.output,
		Volumes: map[string]instance.Volume{},
	}
	var problems []error
	read := func(version string) []byte {
		value, err := l.options.Secret(l.template.account, version)
		if err != nil {
			problems = append(problems, err)
		}
		return value
	}
	for n, c := range l.template.containers {
		one := c.spec
		one.Image = l.images[n]
		one.Env = map[string]string{"GCE_METADATA_HOST": metadataAddr}
		maps.Copy(one.Env, l.options.Env)
		maps.Copy(one.Env, c.spec.Env)
		for variable, version := range c.secrets {
			one.Env[variable] = string(read(version))
		}
		spec.Containers = append(spec.Containers, one)
	}
	for _, v := range l.template.volumes {
		var mounted instance.Volume
		for _, file := range v.files {
			mounted.Files = append(mounted.Files, instance.File{Path: file.path, Content: read(file.version), Mode: file.mode})
		}
		spec.Volumes[v.name] = mounted
	}
	if err := errors.Join(problems...); err != nil {
		return instance.Spec{}, fmt.Errorf("starting an instance of %s: %w", l.revision, err)
	}
	return spec, nil
}
