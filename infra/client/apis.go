package client

import (
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/projects"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// apiSet holds the enabled APIs by their short name, for resources to depend on.
type apiSet map[string]*projects.Service

// apis that the server needs.
func (a *ServerArgs) apis() []string {
	names := []string{"iam", "run"}
	for name, used := range map[string]bool{
		"artifactregistry": a.Image == "" && a.Repository == "",
		"secretmanager":    len(a.Secrets) > 0,
		"storage":          a.Data.Enabled,
		"cloudidentity":    a.Group.Email != "",
		"logging":          a.Monitoring.Enabled,
		"monitoring":       a.Monitoring.Enabled,
	} {
		if used {
			names = append(names, name)
		}
	}
	return names
}

// enableAPIs turns on what the server uses. They stay on when it goes: another
// client in the project may be using them. Everything else depends on one of them, and
// so on the place.
func (b *builder) enableAPIs(place pulumi.Resource) (apiSet, error) {
	apis := apiSet{}
	for _, name := range b.args.apis() {
		api, err := projects.NewService(b.Context, b.child("api-"+name), &projects.ServiceArgs{
			Project:          pulumi.String(b.args.Project),
			Service:          pulumi.String(name + ".googleapis.com"),
			DisableOnDestroy: pulumi.Bool(false),
		}, pulumi.Parent(b.parent), pulumi.DependsOn([]pulumi.Resource{place}))
		if err != nil {
			return nil, err
		}
		apis[name] = api
	}
	return apis, nil
}
