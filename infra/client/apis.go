package client

import (
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/projects"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// apiSet holds the enabled APIs by their short name, for resources to depend on.
type apiSet map[string]*projects.Service

// needs is the dependency on some of the APIs.
func (a apiSet) needs(names ...string) pulumi.ResourceOption {
	var on []pulumi.Resource
	for _, name := range names {
		on = append(on, a[name])
	}
	return pulumi.DependsOn(on)
}

// enableAPIs turns on what the stack uses. They stay on when the stack goes:
// another client in the project may be using them.
func enableAPIs(ctx *pulumi.Context, cfg Config) (apiSet, error) {
	names := []string{"iam", "run"}
	if cfg.Image == "" {
		names = append(names, "artifactregistry")
	}
	apis := apiSet{}
	for _, name := range names {
		api, err := projects.NewService(ctx, name, &projects.ServiceArgs{
			Project:          pulumi.String(cfg.Project),
			Service:          pulumi.String(name + ".googleapis.com"),
			DisableOnDestroy: pulumi.Bool(false),
		})
		if err != nil {
			return nil, err
		}
		apis[name] = api
	}
	return apis, nil
}
