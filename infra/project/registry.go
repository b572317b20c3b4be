package project

import (
	"fmt"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/artifactregistry"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// newRepository is where images live that more than one client deploys; nil if the
// project has none.
func newRepository(ctx *pulumi.Context, cfg Config, apis apiSet) (*artifactregistry.Repository, error) {
	if !cfg.Repository.Enabled {
		return nil, nil
	}
	return artifactregistry.NewRepository(ctx, "images", &artifactregistry.RepositoryArgs{
		Project:         pulumi.String(cfg.Project),
		Location:        pulumi.String(cfg.Region),
		RepositoryId:    pulumi.String(cfg.Repository.Name),
		Format:          pulumi.String("DOCKER"),
		Description:     pulumi.String("Images of MCP servers, for all clients"),
		Labels:          pulumi.StringMap{"managed-by": pulumi.String("berth")},
		CleanupPolicies: cleanup(cfg.Repository),
	}, apis.needs("artifactregistry.googleapis.com"))
}

// cleanup deletes what is old, but keeps the newest versions of each image
// whatever their age. Whether a version has a tag means nothing: what is deployed
// is deployed by digest.
func cleanup(r Repository) artifactregistry.RepositoryCleanupPolicyArray {
	if r.Keep == 0 {
		return nil
	}
	const day = 24 * 60 * 60
	return artifactregistry.RepositoryCleanupPolicyArray{
		artifactregistry.RepositoryCleanupPolicyArgs{
			Id:     pulumi.String("delete-old"),
			Action: pulumi.String("DELETE"),
			Condition: artifactregistry.RepositoryCleanupPolicyConditionArgs{
				TagState:  pulumi.String("ANY"),
				OlderThan: pulumi.String(fmt.Sprintf("%ds", r.DeleteAfterDays*day)),
			},
		},
		artifactregistry.RepositoryCleanupPolicyArgs{
			Id:     pulumi.String("keep-newest"),
			Action: pulumi.String("KEEP"),
			MostRecentVersions: artifactregistry.RepositoryCleanupPolicyMostRecentVersionsArgs{
				KeepCount: pulumi.Int(r.Keep),
			},
		},
	}
}

// letReadImages lets the Cloud Run of other projects pull from the repository. In
// this project it may already. A grant is a member, not a binding: what others
// were granted on the repository stays.
func letReadImages(ctx *pulumi.Context, cfg Config, repository *artifactregistry.Repository, apis apiSet) error {
	for _, reader := range cfg.ImageReaders {
		number := pulumi.String(reader).ToStringOutput()
		if !isNumber(reader) {
			number = numberOf(ctx, reader, apis)
		}
		_, err := artifactregistry.NewRepositoryIamMember(ctx, "image-reader-"+reader, &artifactregistry.RepositoryIamMemberArgs{
			Project:    pulumi.String(cfg.Project),
			Location:   pulumi.String(cfg.Region),
			Repository: repository.RepositoryId,
			Role:       pulumi.String("roles/artifactregistry.reader"),
			// Cloud Run's own account in that project, after https://cloud.google.com/iam/docs/service-agents.
			Member: pulumi.Sprintf("serviceAccount:service-%s@serverless-robot-prod.iam.gserviceaccount.com", number),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
