package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/monitoring"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func dashboardType() *resourceType {
	return &resourceType{
		token:   "gcp:monitoring/dashboard:Dashboard",
		inputs:  inputSchema(monitoring.DashboardArgs{}),
		outputs: outputSchema(monitoring.Dashboard{}),
		traits: traits{
			"project":       {place: inPath, replace: true, config: project},
			"dashboardJson": {same: sameDashboard},
		},
		also: func(v *validation, inputs resource.PropertyMap) {
			if content := inputs["dashboardJson"]; content.IsString() {
				if _, err := dashboardObject(content.StringValue()); err != nil {
					v.fail("dashboardJson", "dashboardJson is not a JSON object: %v", err)
				}
			}
		},
		api: &dashboardAPI{restAPI{
			endpoint:   monitoringEndpoint,
			idOf:       "{+name}",
			path:       "v1/{+name}",
			collection: "v1/projects/{project}/dashboards",
		}},
	}
}

func dashboardObject(content string) (map[string]any, error) {
	object := map[string]any{}
	err := json.Unmarshal([]byte(content), &object)
	return object, err
}

// sameDashboard tells whether what is wanted is in what there is: the API adds
// things. What it leaves out, such as a zero, is wanted for ever.
func sameDashboard(is, wanted string) bool {
	have, errHave := dashboardObject(is)
	want, errWant := dashboardObject(wanted)
	return errHave == nil && errWant == nil && reflect.DeepEqual(onlyWanted(have, want), any(want))
}

// onlyWanted is have without the keys that want does not have.
func onlyWanted(have, want any) any {
	switch h := have.(type) {
	case map[string]any:
		w, _ := want.(map[string]any)
		kept := map[string]any{}
		for k, v := range h {
			if w[k] != nil {
				kept[k] = onlyWanted(v, w[k])
			}
		}
		return kept
	case []any:
		w, _ := want.([]any)
		kept := slices.Clone(h)
		for i := range min(len(h), len(w)) {
			kept[i] = onlyWanted(h[i], w[i])
		}
		return kept
	default:
		return have
	}
}

// dashboardAPI sends the JSON as it was given, and keeps the API's as the state.
type dashboardAPI struct{ restAPI }

// parse gives the name, which is no property of the resource.
func (a *dashboardAPI) parse(id string) (resource.PropertyMap, error) {
	return parseID(id, "{+name}")
}

func (a *dashboardAPI) id(props resource.PropertyMap) (string, error) {
	if name := text(props, "name"); name != "" {
		return name, nil
	}
	object, err := dashboardObject(text(props, "dashboardJson"))
	name, _ := object["name"].(string)
	return name, err
}

func (a *dashboardAPI) create(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (string, error) {
	collection, err := expand(a.collection, props, unescaped)
	if err != nil {
		return "", err
	}
	made, err := c.call(ctx, http.MethodPost, c.url(a.endpoint, collection), json.RawMessage(text(props, "dashboardJson")))
	if err != nil {
		return "", err
	}
	return assignedID("name", made)
}

func (a *dashboardAPI) read(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap) (map[string]any, error) {
	object, err := a.restAPI.read(ctx, c, t, props)
	if err != nil {
		return nil, err
	}
	content, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("writing the dashboard's JSON: %w", err)
	}
	return map[string]any{"dashboardJson": string(content)}, nil
}

// update sends the etag along that was last read, as the plugin does.
func (a *dashboardAPI) update(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap, _ []string) error {
	current, err := a.restAPI.read(ctx, c, t, props)
	if err != nil {
		return err
	}
	object, err := dashboardObject(text(props, "dashboardJson"))
	if err != nil {
		return err
	}
	object["etag"] = current["etag"]
	self, err := a.self(c, props)
	if err != nil {
		return err
	}
	_, err = c.call(ctx, http.MethodPatch, self, object)
	return err
}
