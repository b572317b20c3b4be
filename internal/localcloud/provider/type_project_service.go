package provider

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"regexp"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/projects"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func projectServiceType() *resourceType {
	return &resourceType{
		token:   "gcp:projects/service:Service",
		inputs:  inputSchema(projects.ServiceArgs{}),
		outputs: outputSchema(projects.Service{}),
		traits: traits{
			"project": {place: inPath, replace: true, config: project},
			"service": {place: inPath, replace: true,
				match: regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`),
				says:  "expected an API's name, such as run.googleapis.com"},
			"disableOnDestroy":                {place: inState, fallback: false},
			"disableDependentServices":        {place: inState},
			"checkIfServiceHasUsageOnDestroy": {place: inState},
		},
		api: projectServiceAPI{},
	}
}

// projectServiceAPI enables APIs in a project. Enabling is idempotent, and an
// enabled API is no object of its own: it is in the project's list or not.
type projectServiceAPI struct{}

const projectServiceID = "{project}/{service}"

func (projectServiceAPI) id(props resource.PropertyMap) (string, error) {
	return expand(projectServiceID, props, unescaped)
}

func (projectServiceAPI) parse(id string) (resource.PropertyMap, error) {
	return parseID(id, projectServiceID)
}

func (projectServiceAPI) url(c *client, props resource.PropertyMap, suffix string) string {
	return c.url(serviceUsageEndpoint, "v1/projects/"+url.PathEscape(text(props, "project"))+"/services"+suffix)
}

func (a projectServiceAPI) create(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (string, error) {
	id, err := a.id(props)
	if err != nil {
		return "", err
	}
	operation, err := c.call(ctx, http.MethodPost, a.url(c, props, "/"+text(props, "service")+":enable"), map[string]any{})
	if err != nil {
		return id, err
	}
	return id, c.await(ctx, c.url(serviceUsageEndpoint, "v1/"), operation)
}

// read looks the API up in the list, as the plugin does, page by page.
func (a projectServiceAPI) read(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (map[string]any, error) {
	for page := ""; ; {
		query := url.Values{"filter": {"state:ENABLED"}}
		if page != "" {
			query.Set("pageToken", page)
		}
		answer, err := c.call(ctx, http.MethodGet, a.url(c, props, "?"+query.Encode()), nil)
		if err != nil {
			return nil, err
		}
		services, _ := answer["services"].([]any)
		for _, s := range services {
			object, _ := s.(map[string]any)
			if name, _ := object["name"].(string); path.Base(name) == text(props, "service") {
				return object, nil
			}
		}
		if page, _ = answer["nextPageToken"].(string); page == "" {
			return nil, &apiError{Code: http.StatusNotFound, Message: text(props, "service") + " is not enabled"}
		}
	}
}

// update has nothing to tell the API: all that may change steers the destroy.
func (projectServiceAPI) update(context.Context, *client, *resourceType, resource.PropertyMap, []string) error {
	return nil
}

func (a projectServiceAPI) delete(ctx context.Context, c *client, _ *resourceType, state resource.PropertyMap) error {
	if !isTrue(state, "disableOnDestroy") {
		return nil // the API stays enabled; others may need it
	}
	check := "SKIP"
	if isTrue(state, "checkIfServiceHasUsageOnDestroy") {
		check = "CHECK"
	}
	operation, err := c.call(ctx, http.MethodPost, a.url(c, state, "/"+text(state, "service")+":disable"), map[string]any{
		"disableDependentServices": isTrue(state, "disableDependentServices"),
		"checkIfServiceHasUsage":   check,
	})
	if err != nil {
		return err
	}
	return c.await(ctx, c.url(serviceUsageEndpoint, "v1/"), operation)
}
