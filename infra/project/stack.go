// Package project is the stack of a Google Cloud project: what all clients in it
// share, and so no single client's stack may own. The first client's destroy would
// otherwise take it from the others.
//
// A client stack works without it. [Stack] is an ordinary Pulumi program, like
// the client's, and knows as little of where it runs.
package project

import (
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/organizations"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Stack declares what the project's clients share.
func Stack(ctx *pulumi.Context) error {
	cfg, err := Load(ctx)
	if err != nil {
		return err
	}
	apis, err := enableAPIs(ctx, cfg)
	if err != nil {
		return err
	}
	repository, err := newRepository(ctx, cfg, apis)
	if err != nil {
		return err
	}
	if err := letReadImages(ctx, cfg, repository, apis); err != nil {
		return err
	}
	if err := letUseKeys(ctx, cfg, apis); err != nil {
		return err
	}
	if err := auditAccess(ctx, cfg, apis); err != nil {
		return err
	}
	bucket, err := keepLogs(ctx, cfg, apis)
	if err != nil {
		return err
	}
	channels, err := newChannels(ctx, cfg, apis)
	if err != nil {
		return err
	}
	if err := newBudget(ctx, cfg, channels, apis); err != nil {
		return err
	}
	export(ctx, cfg, repository, bucket, channels)
	return nil
}

// numberOf looks up the number of a project, of which the accounts of Google's own
// services are named. It can be looked up once the API is on.
func numberOf(ctx *pulumi.Context, project string, apis apiSet) pulumi.StringOutput {
	return organizations.LookupProjectOutput(ctx, organizations.LookupProjectOutputArgs{
		ProjectId: pulumi.String(project),
	}, apis.needs("cloudresourcemanager.googleapis.com")).Number()
}
