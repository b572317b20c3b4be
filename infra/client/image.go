package client

import (
	"context"
	"fmt"

	"github.com/berth-mcp/berth/infra/image"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/artifactregistry"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// build builds the server's image; nil if a prebuilt one is deployed.
func build(ctx *pulumi.Context, args *ServerArgs) (*image.Image, error) {
	if args.Image != "" {
		return nil, nil
	}
	built, err := image.Build(ctx.Context(), args.Build, args.Pusher.Keychain(ctx.Context()))
	if err != nil {
		return nil, fmt.Errorf("berth:build: %w", err)
	}
	return built, nil
}

// newImage gives the reference, by digest, of the image to deploy: the prebuilt
// one, or the built one in a repository. A build's digest is known in the preview;
// only an update sends anything to the registry.
func (b *builder) newImage(built *image.Image) (pulumi.StringInput, error) {
	if built == nil {
		return pulumi.String(b.args.Image), nil
	}
	if r := existingRepository.FindStringSubmatch(b.args.Repository); r != nil {
		return b.push(built, fmt.Sprintf("%s/%s/%s/%s", b.args.registry(), r[1], r[3], b.args.name()), pulumi.ID(b.args.Repository).ToIDOutput()), nil
	}
	repository, err := artifactregistry.NewRepository(b.Context, b.child("images"), &artifactregistry.RepositoryArgs{
		Project:         pulumi.String(b.args.Project),
		Location:        pulumi.String(b.args.Region),
		RepositoryId:    pulumi.String(b.args.name()),
		Format:          pulumi.String("DOCKER"),
		Description:     pulumi.String("Images of the MCP server of " + b.args.Client),
		Labels:          b.args.labels(),
		KmsKeyName:      optional(b.args.KMSKey),
		CleanupPolicies: cleanup(b.args.KeepImages * built.Versions()),
	}, b.options([]string{"artifactregistry"})...)
	if err != nil {
		return nil, err
	}
	path := fmt.Sprintf("%s/%s/%s/server", b.args.registry(), b.args.Project, b.args.name())
	return b.push(built, path, repository.ID()), nil
}

// push sends the image once the repository exists, which is when its id is known.
func (b *builder) push(built *image.Image, path string, repository pulumi.IDOutput) pulumi.StringInput {
	if b.DryRun() {
		return pulumi.String(built.Ref(path))
	}
	return repository.ApplyTWithContext(b.Context.Context(), func(c context.Context, _ pulumi.ID) (string, error) {
		pushed, err := built.Push(c, path, b.args.Pusher.Keychain(c))
		if err != nil {
			return "", err
		}
		if pushed {
			_ = b.Log.Info("pushed "+built.Ref(path), nil)
		}
		return built.Ref(path), nil
	}).(pulumi.StringOutput)
}

// cleanup keeps the newest versions and deletes, of the others, what has a tag. An
// image is several versions: see [image.Image.Versions]. What has no tag is part of
// one that has.
func cleanup(versions int) artifactregistry.RepositoryCleanupPolicyArray {
	return artifactregistry.RepositoryCleanupPolicyArray{
		&artifactregistry.RepositoryCleanupPolicyArgs{
			Id:     pulumi.String("delete-old"),
			Action: pulumi.String("DELETE"),
			Condition: &artifactregistry.RepositoryCleanupPolicyConditionArgs{
				TagState:  pulumi.String("TAGGED"),
				OlderThan: pulumi.String("86400s"), // not while an update that needs it may be running
			},
		},
		&artifactregistry.RepositoryCleanupPolicyArgs{
			Id:     pulumi.String("keep-newest"),
			Action: pulumi.String("KEEP"),
			MostRecentVersions: &artifactregistry.RepositoryCleanupPolicyMostRecentVersionsArgs{
				KeepCount: pulumi.Int(versions),
			},
		},
	}
}

// optional leaves an argument out if there is nothing to say.
func optional(value string) pulumi.StringPtrInput {
	if value == "" {
		return nil
	}
	return pulumi.String(value)
}
