package provider

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/logging"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func logBucketType() *resourceType {
	return &resourceType{
		token:     "gcp:logging/projectBucketConfig:ProjectBucketConfig",
		inputs:    inputSchema(logging.ProjectBucketConfigArgs{}),
		outputs:   outputSchema(logging.ProjectBucketConfig{}),
		fixedName: "bucketId",
		traits: traits{
			"project":                        {place: inPath, replace: true, same: sameName},
			"location":                       {place: inPath, replace: true},
			"bucketId":                       {place: inPath, replace: true},
			"description":                    {computed: true},
			"retentionDays":                  {fallback: 30.0},
			"enableAnalytics":                {apiName: "analyticsEnabled", oneWay: true},
			"lifecycleState":                 {outputOnly: true},
			"cmekSettings.kmsKeyVersionName": {computed: true, outputOnly: true},
			"cmekSettings.name":              {computed: true, outputOnly: true},
			"cmekSettings.serviceAccountId":  {computed: true, outputOnly: true},
			"indexConfigs":                   {set: true},
			"indexConfigs[].type":            {same: strings.EqualFold},
		},
		presume: func(inputs resource.PropertyMap) {
			if id, found := strings.CutPrefix(text(inputs, "project"), "projects/"); found {
				setText(inputs, "project", id)
			}
		},
		api: &logBucketAPI{restAPI{
			endpoint:   loggingEndpoint,
			idOf:       "projects/{project}/locations/{location}/buckets/{bucketId}",
			collection: "projects/{project}/locations/{location}/buckets:createAsync?bucketId={bucketId}",
			longCreate: true,
		}},
	}
}

// everyProjectHas are the log buckets and sinks that Google makes. They are
// taken over, and let go again.
var everyProjectHas = []string{"_Default", "_Required"}

// logBucketAPI takes over a bucket that is there, as the plugin does.
type logBucketAPI struct{ restAPI }

func (a *logBucketAPI) create(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap) (string, error) {
	id, err := a.id(props)
	if err != nil {
		return "", err
	}
	if _, err := a.read(ctx, c, t, props); err == nil {
		return id, a.update(ctx, c, t, props, givenNames(t, props))
	}
	return a.restAPI.create(ctx, c, t, props)
}

// givenNames are the inputs that the program has given.
func givenNames(t *resourceType, props resource.PropertyMap) []string {
	return slices.DeleteFunc(t.inputs.names(), func(name string) bool { return !hasKey(props, resource.PropertyKey(name)) })
}

// update turns analytics on before all else, and locks after all else: each is
// a change of its own to the API.
func (a *logBucketAPI) update(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap, changed []string) error {
	self, err := a.self(c, props)
	if err != nil {
		return err
	}
	body, err := t.body(props)
	if err != nil {
		return err
	}
	mask := t.mask(changed)
	if slices.Contains(mask, "analyticsEnabled") {
		operation, err := c.call(ctx, http.MethodPost, self+":updateAsync?updateMask=analyticsEnabled", body)
		if err != nil {
			return err
		}
		if err := c.await(ctx, c.url(a.endpoint, ""), operation); err != nil {
			return err
		}
	}
	var plain, locked []string
	for _, field := range mask {
		switch field {
		case "analyticsEnabled":
		case "locked":
			locked = append(locked, field)
		default:
			plain = append(plain, field)
		}
	}
	for _, fields := range [][]string{plain, locked} {
		if len(fields) == 0 {
			continue
		}
		if _, err := c.call(ctx, http.MethodPatch, self+"?updateMask="+url.QueryEscape(strings.Join(fields, ",")), body); err != nil {
			return err
		}
	}
	return nil
}

func (a *logBucketAPI) delete(ctx context.Context, c *client, t *resourceType, state resource.PropertyMap) error {
	if slices.Contains(everyProjectHas, text(state, "bucketId")) {
		return nil
	}
	return a.restAPI.delete(ctx, c, t, state)
}
