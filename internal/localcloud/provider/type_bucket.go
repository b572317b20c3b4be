package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/storage"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func bucketType() *resourceType {
	return &resourceType{
		token:    "gcp:storage/bucket:Bucket",
		inputs:   inputSchema(storage.BucketArgs{}),
		outputs:  outputSchema(storage.Bucket{}),
		traits:   bucketTraits,
		labelled: true,
		autoName: "name", autoNameMax: 63, fixedName: "name",
		complete: func(props resource.PropertyMap) {
			if name := text(props, "name"); name != "" {
				setText(props, "url", "gs://"+name)
			}
		},
		api: bucketAPI{},
	}
}

// bucketTraits follows the plugin's schema of google_storage_bucket.
var bucketTraits = traits{
	"project":      {place: inPath, replace: true, config: project},
	"name":         {place: inPath, replace: true},
	"location":     {replace: true, same: strings.EqualFold},
	"forceDestroy": {place: inState, fallback: false},
	"storageClass": {fallback: "STANDARD"},
	"url":          {place: inState},

	"uniformBucketLevelAccess": {computed: true},
	"publicAccessPrevention":   {computed: true, oneOf: []string{"inherited", "enforced"}},
	"rpo":                      {computed: true},

	"softDeletePolicy":                          {computed: true},
	"softDeletePolicy.retentionDurationSeconds": {fallback: 604800.0},
	"softDeletePolicy.effectiveTime":            {computed: true, outputOnly: true},
	"retentionPolicy.isLocked":                  {fallback: false},
	"hierarchicalNamespace":                     {replace: true},
	"customPlacementConfig":                     {replace: true},
	"enableObjectRetention":                     {replace: true},

	"cors[].methods":         {apiName: "method"},
	"cors[].origins":         {apiName: "origin"},
	"cors[].responseHeaders": {apiName: "responseHeader"},

	"lifecycleRules[].action.type":                     {oneOf: []string{"Delete", "SetStorageClass", "AbortIncompleteMultipartUpload"}},
	"lifecycleRules[].condition.matchesPrefixes":       {apiName: "matchesPrefix"},
	"lifecycleRules[].condition.matchesSuffixes":       {apiName: "matchesSuffix"},
	"lifecycleRules[].condition.matchesStorageClasses": {apiName: "matchesStorageClass"},
	"lifecycleRules[].condition.withState":             {computed: true, oneOf: []string{"LIVE", "ARCHIVED", "ANY"}},
}

// bucketAPI makes the API's object of what the plugin has flat, and back.
type bucketAPI struct{}

const bucketID = "{name}"

func (bucketAPI) id(props resource.PropertyMap) (string, error) {
	return expand(bucketID, props, unescaped)
}

func (bucketAPI) parse(id string) (resource.PropertyMap, error) {
	return parseID(id, bucketID, "{project}/{name}")
}

func (bucketAPI) url(c *client, props resource.PropertyMap) string {
	return c.url(storageEndpoint, "b/"+url.PathEscape(text(props, "name")))
}

func (a bucketAPI) create(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap) (string, error) {
	id, err := a.id(props)
	if err != nil {
		return "", err
	}
	body, err := a.body(t, props)
	if err != nil {
		return id, err
	}
	body["name"] = text(props, "name")
	_, err = c.call(ctx, http.MethodPost, c.url(storageEndpoint, "b?project="+url.QueryEscape(text(props, "project"))), body)
	return id, err
}

// nested are the properties that the API has elsewhere: its own field, and the one
// below.
var nested = []struct{ property, field, below string }{
	{"requesterPays", "billing", "requesterPays"},
	{"lifecycleRules", "lifecycle", "rule"},
}

func (bucketAPI) body(t *resourceType, props resource.PropertyMap) (map[string]any, error) {
	body, err := t.body(props)
	if err != nil {
		return nil, err
	}
	if policy, ok := body["retentionPolicy"].(map[string]any); ok && policy["isLocked"] == true {
		return nil, errors.New("the local cloud locks no retention policy: set retentionPolicy.isLocked to false here")
	}
	access := map[string]any{}
	if uniform, ok := body["uniformBucketLevelAccess"]; ok {
		access["uniformBucketLevelAccess"] = map[string]any{"enabled": uniform}
	}
	if prevention, ok := body["publicAccessPrevention"]; ok {
		access["publicAccessPrevention"] = prevention
	}
	delete(body, "uniformBucketLevelAccess")
	delete(body, "publicAccessPrevention")
	if len(access) > 0 {
		body["iamConfiguration"] = access
	}
	for _, n := range nested {
		if value, ok := body[n.property]; ok {
			delete(body, n.property)
			body[n.field] = map[string]any{n.below: value}
		}
	}
	eachCondition(body, func(condition map[string]any) {
		if state, given := condition["withState"]; given {
			delete(condition, "withState")
			if state != "ANY" {
				condition["isLive"] = state == "LIVE"
			}
		}
	})
	return body, nil
}

// eachCondition visits the conditions of lifecycle rules in the API's object.
func eachCondition(object map[string]any, visit func(map[string]any)) {
	lifecycle, _ := object["lifecycle"].(map[string]any)
	rules, _ := lifecycle["rule"].([]any)
	for _, rule := range rules {
		fields, _ := rule.(map[string]any)
		if condition, ok := fields["condition"].(map[string]any); ok {
			visit(condition)
		}
	}
}

func (a bucketAPI) read(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (map[string]any, error) {
	object, err := c.call(ctx, http.MethodGet, a.url(c, props), nil)
	if err != nil {
		return nil, err
	}
	access, _ := object["iamConfiguration"].(map[string]any)
	uniform, _ := access["uniformBucketLevelAccess"].(map[string]any)
	enabled, _ := uniform["enabled"].(bool)
	object["uniformBucketLevelAccess"] = enabled
	object["publicAccessPrevention"] = access["publicAccessPrevention"]
	eachCondition(object, func(condition map[string]any) {
		switch live, given := condition["isLive"].(bool); {
		case !given:
			condition["withState"] = "ANY"
		case live:
			condition["withState"] = "LIVE"
		default:
			condition["withState"] = "ARCHIVED"
		}
	})
	for _, n := range nested {
		if field, ok := object[n.field].(map[string]any); ok {
			object[n.property] = field[n.below]
		}
	}
	return object, nil
}

// update sends what has changed: the API merges it, and null takes away.
func (a bucketAPI) update(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap, changed []string) error {
	body, err := a.body(t, props)
	if err != nil {
		return err
	}
	change := map[string]any{}
	for _, field := range a.fields(t, changed) {
		change[field] = body[field] // null where it is gone
	}
	if len(change) == 0 {
		return nil
	}
	if _, relabelled := change[labels]; relabelled {
		object, err := c.call(ctx, http.MethodGet, a.url(c, props), nil)
		if err != nil {
			return err
		}
		change[labels] = withoutOthers(objectAt(props, effectiveLabels).Mappable(), object[labels])
	}
	_, err = c.call(ctx, http.MethodPatch, a.url(c, props), change)
	return err
}

// withoutOthers is wanted, with null for each key that is there and not wanted.
func withoutOthers(wanted map[string]any, there any) map[string]any {
	all := map[string]any{}
	have, _ := there.(map[string]any)
	for key := range have {
		all[key] = nil
	}
	for key, value := range wanted {
		all[key] = value
	}
	return all
}

// fields are the API's, of the properties that have changed.
func (bucketAPI) fields(t *resourceType, changed []string) []string {
	var fields []string
	for _, name := range t.mask(changed) {
		switch name {
		case "uniformBucketLevelAccess", "publicAccessPrevention":
			name = "iamConfiguration"
		}
		for _, n := range nested {
			if n.property == name {
				name = n.field
			}
		}
		fields = append(fields, name)
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// delete empties the bucket first only if the program said so. A bucket that the
// operator may not look into is deleted if it is empty.
func (a bucketAPI) delete(ctx context.Context, c *client, _ *resourceType, state resource.PropertyMap) error {
	for {
		list, err := c.call(ctx, http.MethodGet, a.url(c, state)+"/o?versions=true", nil)
		if hasCode(err, http.StatusNotFound) {
			return nil
		}
		objects, _ := list["items"].([]any)
		if err != nil || len(objects) == 0 {
			break
		}
		if !isTrue(state, "forceDestroy") {
			return fmt.Errorf("error trying to delete bucket %s containing objects without `force_destroy` set to true", text(state, "name"))
		}
		for _, object := range objects {
			fields, _ := object.(map[string]any)
			at := fmt.Sprintf("%s/o/%s?generation=%v", a.url(c, state), url.PathEscape(fmt.Sprint(fields["name"])), fields["generation"])
			if _, err := c.call(ctx, http.MethodDelete, at, nil); err != nil && !hasCode(err, http.StatusNotFound) {
				return err
			}
		}
	}
	_, err := c.call(ctx, http.MethodDelete, a.url(c, state), nil)
	return err
}
