package client

import (
	"context"
	"fmt"

	"github.com/berth-mcp/berth/infra/image"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/artifactregistry"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// build builds the server's image; nil if the stack deploys a prebuilt one.
func build(ctx *pulumi.Context, cfg Config) (*image.Image, error) {
	if cfg.Image != "" {
		return nil, nil
	}
	built, err := image.Build(ctx.Context(), cfg.Build)
	if err != nil {
		return nil, fmt.Errorf("berth:build: %w", err)
	}
	return built, nil
}

// newImage gives the reference, by digest, of the image to deploy: the prebuilt
// one, or the built one in a repository of the client's. A build's digest is known
// in the preview; only an update sends anything to the registry.
func newImage(ctx *pulumi.Context, cfg Config, built *image.Image, apis apiSet) (pulumi.StringInput, error) {
	if built == nil {
		return pulumi.String(cfg.Image), nil
	}
	repository, err := artifactregistry.NewRepository(ctx, "images", &artifactregistry.RepositoryArgs{
		Project:      pulumi.String(cfg.Project),
		Location:     pulumi.String(cfg.Region),
		RepositoryId: pulumi.String(cfg.name()),
		Format:       pulumi.String("DOCKER"),
		Description:  pulumi.String("Images of the MCP server of " + cfg.Client),
	}, apis.needs("artifactregistry"))
	if err != nil {
		return nil, err
	}
	path := fmt.Sprintf("%s/%s/%s/server", cfg.RegistryHost, cfg.Project, cfg.name())
	if ctx.DryRun() {
		return pulumi.String(built.Ref(path)), nil
	}
	// The repository's id is known once it exists, and then the push may run.
	return repository.ID().ApplyTWithContext(ctx.Context(), func(c context.Context, _ pulumi.ID) (string, error) {
		pushed, err := built.Push(c, path, cfg.Pusher.Keychain(c))
		if err != nil {
			return "", err
		}
		if pushed {
			_ = ctx.Log.Info("pushed "+built.Ref(path), nil)
		}
		return built.Ref(path), nil
	}).(pulumi.StringOutput), nil
}
