package project

import (
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/artifactregistry"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/logging"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/monitoring"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// export gives what a client's configuration may name: where to push images, and
// the channels' ids. What the project does not have is not there.
func export(ctx *pulumi.Context, cfg Config, repository *artifactregistry.Repository, bucket *logging.ProjectBucketConfig, channels map[string]*monitoring.NotificationChannel) {
	if repository != nil {
		ctx.Export("repository", pulumi.Sprintf("%s-docker.pkg.dev/%s/%s", cfg.Region, cfg.Project, repository.RepositoryId))
	}
	if bucket != nil {
		ctx.Export("logBucket", bucket.ID())
	}
	ids := pulumi.StringMap{}
	for name, channel := range channels {
		ids[name] = channel.ID().ToStringOutput()
	}
	ctx.Export("channels", ids)
}
