package provider

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/logging"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func logSinkType() *resourceType {
	return &resourceType{
		token:    "gcp:logging/projectSink:ProjectSink",
		inputs:   inputSchema(logging.ProjectSinkArgs{}),
		outputs:  outputSchema(logging.ProjectSink{}),
		autoName: "name", autoNameMax: 100, fixedName: "name",
		traits: traits{
			"project":              {place: inPath, replace: true, config: project},
			"name":                 {replace: true},
			"bigqueryOptions":      {computed: true},
			"customWriterIdentity": {place: inState},
			"filter":               {same: func(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }},
			"uniqueWriterIdentity": {fallback: true, apart: true},
			"writerIdentity":       {outputOnly: true},
		},
		api: &logSinkAPI{restAPI{
			endpoint:   loggingEndpoint,
			idOf:       "projects/{project}/sinks/{name}",
			collection: "projects/{project}/sinks",
		}},
	}
}

// sharedWriter writes for sinks that have no writer of their own.
const sharedWriter = "serviceAccount:cloud-logs@system.gserviceaccount.com"

// logSinkAPI takes over a sink that is there, as the plugin does. Who writes is
// no part of a sink, but of the calls that make and change it.
type logSinkAPI struct{ restAPI }

func (a *logSinkAPI) query(props resource.PropertyMap) url.Values {
	query := url.Values{"uniqueWriterIdentity": {strconv.FormatBool(isTrue(props, "uniqueWriterIdentity"))}}
	if writer := text(props, "customWriterIdentity"); writer != "" {
		query.Set("customWriterIdentity", writer)
	}
	return query
}

func (a *logSinkAPI) create(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap) (string, error) {
	id, err := a.id(props)
	if err != nil {
		return "", err
	}
	if _, err := a.read(ctx, c, t, props); err == nil {
		return id, a.update(ctx, c, t, props, givenNames(t, props))
	}
	body, err := t.body(props)
	if err != nil {
		return "", err
	}
	collection, err := expand(a.collection, props, url.PathEscape)
	if err != nil {
		return "", err
	}
	_, err = c.call(ctx, http.MethodPost, c.url(a.endpoint, collection)+"?"+a.query(props).Encode(), body)
	return id, err
}

func (a *logSinkAPI) read(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap) (map[string]any, error) {
	object, err := a.restAPI.read(ctx, c, t, props)
	if err == nil {
		object["uniqueWriterIdentity"] = object["writerIdentity"] != sharedWriter
	}
	return object, err
}

func (a *logSinkAPI) update(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap, changed []string) error {
	self, err := a.self(c, props)
	if err != nil {
		return err
	}
	body, err := t.body(props)
	if err != nil {
		return err
	}
	query := a.query(props)
	query.Set("updateMask", strings.Join(slices.DeleteFunc(t.mask(changed), func(f string) bool { return f == "name" }), ","))
	_, err = c.call(ctx, http.MethodPatch, self+"?"+query.Encode(), body)
	return err
}

func (a *logSinkAPI) delete(ctx context.Context, c *client, t *resourceType, state resource.PropertyMap) error {
	if slices.Contains(everyProjectHas, text(state, "name")) {
		return nil
	}
	return a.restAPI.delete(ctx, c, t, state)
}
