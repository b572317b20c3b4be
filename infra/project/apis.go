package project

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/projects"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// apiSet holds the enabled APIs by name, for resources to depend on.
type apiSet map[string]*projects.Service

// needs is the dependency on some of the APIs.
func (a apiSet) needs(names ...string) pulumi.ResourceOrInvokeOption {
	var on []pulumi.Resource
	for _, name := range names {
		on = append(on, a[name])
	}
	return pulumi.DependsOn(on)
}

// enableAPIs turns on what the configuration names, and what the stack's own
// resources need. They stay on when the stack goes: the clients still use them.
func enableAPIs(ctx *pulumi.Context, cfg Config) (apiSet, error) {
	apis := apiSet{}
	for _, name := range cfg.apis() {
		api, err := projects.NewService(ctx, strings.TrimSuffix(name, ".googleapis.com"), &projects.ServiceArgs{
			Project:          pulumi.String(cfg.Project),
			Service:          pulumi.String(name),
			DisableOnDestroy: pulumi.Bool(false),
		})
		if err != nil {
			return nil, err
		}
		apis[name] = api
	}
	return apis, nil
}

// apis are the names of all APIs that the stack enables, sorted.
func (c Config) apis() []string {
	names := slices.Clone(c.APIs)
	for _, agent := range c.keyUsers() {
		names = append(names, apiOf(agent))
	}
	for _, needed := range []struct {
		name string
		by   bool
	}{
		{"artifactregistry.googleapis.com", c.Repository.Enabled},
		{"billingbudgets.googleapis.com", c.Budget.Amount > 0},
		{"cloudkms.googleapis.com", len(c.EncryptionKeys) > 0},
		{"cloudresourcemanager.googleapis.com", c.Budget.Amount > 0 || len(c.ImageReaders) > 0 || len(c.AuditLogs) > 0},
		{"logging.googleapis.com", c.LogBucket.Enabled},
		{"monitoring.googleapis.com", len(c.Channels) > 0},
	} {
		if needed.by {
			names = append(names, needed.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
