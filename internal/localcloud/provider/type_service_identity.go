package provider

import (
	"context"
	"net/http"
	"net/url"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/projects"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func serviceIdentityType() *resourceType {
	return &resourceType{
		token:   "gcp:projects/serviceIdentity:ServiceIdentity",
		inputs:  inputSchema(projects.ServiceIdentityArgs{}),
		outputs: outputSchema(projects.ServiceIdentity{}),
		traits: traits{
			"project": {place: inPath, replace: true, config: project},
			"service": {place: inPath, replace: true},
		},
		api: serviceIdentityAPI{},
	}
}

// serviceIdentityAPI has Google make a service agent. There is no way to look at one
// or to take it away, so that the plugin keeps what it was answered once.
type serviceIdentityAPI struct{}

const serviceIdentityID = "projects/{project}/services/{service}"

func (serviceIdentityAPI) id(props resource.PropertyMap) (string, error) {
	return expand(serviceIdentityID, props, unescaped)
}

func (serviceIdentityAPI) parse(id string) (resource.PropertyMap, error) {
	return parseID(id, serviceIdentityID)
}

func (a serviceIdentityAPI) create(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (string, error) {
	id, err := a.id(props)
	if err != nil {
		return "", err
	}
	at := c.url(serviceUsageEndpoint, "v1beta1/projects/"+url.PathEscape(text(props, "project"))+
		"/services/"+url.PathEscape(text(props, "service"))+":generateServiceIdentity")
	operation, err := c.call(ctx, http.MethodPost, at, map[string]any{})
	if err != nil {
		return id, err
	}
	identity, _ := operation["response"].(map[string]any) // the operation has ended
	email, _ := identity["email"].(string)
	setText(props, "email", email)
	setText(props, "member", "serviceAccount:"+email)
	return id, nil
}

func (serviceIdentityAPI) read(_ context.Context, _ *client, _ *resourceType, props resource.PropertyMap) (map[string]any, error) {
	return props.Mappable(), nil
}

func (serviceIdentityAPI) update(context.Context, *client, *resourceType, resource.PropertyMap, []string) error {
	return nil
}

func (serviceIdentityAPI) delete(context.Context, *client, *resourceType, resource.PropertyMap) error {
	return nil
}
