package project

import (
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/logging"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/projects"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// auditAccess has Google log who read or wrote data. It replaces the project's whole
// configuration for a service, and destroying the stack removes it.
func auditAccess(ctx *pulumi.Context, cfg Config, apis apiSet) error {
	for _, audit := range cfg.AuditLogs {
		var types projects.IAMAuditConfigAuditLogConfigArray
		for _, logType := range audit.Types {
			types = append(types, projects.IAMAuditConfigAuditLogConfigArgs{LogType: pulumi.String(logType)})
		}
		_, err := projects.NewIAMAuditConfig(ctx, "audit-"+strings.TrimSuffix(audit.Service, ".googleapis.com"), &projects.IAMAuditConfigArgs{
			Project:         pulumi.String(cfg.Project),
			Service:         pulumi.String(audit.Service),
			AuditLogConfigs: types,
		}, apis.needs("cloudresourcemanager.googleapis.com"))
		if err != nil {
			return err
		}
	}
	return nil
}

// keepLogs keeps the clients' logs longer than the 30 days of the project's default
// bucket; nil if it is not to. Writing to a bucket of the same project needs no
// grant to the sink's writer.
func keepLogs(ctx *pulumi.Context, cfg Config, apis apiSet) (*logging.ProjectBucketConfig, error) {
	if !cfg.LogBucket.Enabled {
		return nil, nil
	}
	bucket, err := logging.NewProjectBucketConfig(ctx, "logs", &logging.ProjectBucketConfigArgs{
		Project:       pulumi.String(cfg.Project),
		Location:      pulumi.String(cfg.Region),
		BucketId:      pulumi.String(cfg.LogBucket.Name),
		RetentionDays: pulumi.Int(cfg.LogBucket.RetentionDays),
		Description:   pulumi.String("Logs of MCP servers, of all clients"),
	}, apis.needs("logging.googleapis.com"))
	if err != nil {
		return nil, err
	}
	_, err = logging.NewProjectSink(ctx, "logs", &logging.ProjectSinkArgs{
		Project:              pulumi.String(cfg.Project),
		Name:                 pulumi.String(cfg.LogBucket.Name),
		Description:          pulumi.String("Copies the logs of MCP servers to the bucket that keeps them"),
		Destination:          pulumi.Sprintf("logging.googleapis.com/%s", bucket.ID()),
		Filter:               pulumi.String(cfg.LogBucket.Filter),
		UniqueWriterIdentity: pulumi.Bool(true),
	})
	return bucket, err
}
