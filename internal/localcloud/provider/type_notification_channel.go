package provider

import (
	"context"
	"net/http"
	"strconv"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/monitoring"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// sensitiveLabels are properties that become labels, by the names that these
// have in the API.
var sensitiveLabels = map[string]string{"authToken": "auth_token", "password": "password", "serviceKey": "service_key"}

func notificationChannelType() *resourceType {
	return &resourceType{
		token:   "gcp:monitoring/notificationChannel:NotificationChannel",
		inputs:  inputSchema(monitoring.NotificationChannelArgs{}),
		outputs: outputSchema(monitoring.NotificationChannel{}),
		traits: traits{
			"name":               {place: inPath},
			"project":            {place: inPath, replace: true, config: project},
			"enabled":            {fallback: true},
			"forceDelete":        {place: inState, fallback: false},
			"sensitiveLabels":    {place: inState},
			"verificationStatus": {outputOnly: true},
		},
		also: func(v *validation, inputs resource.PropertyMap) {
			given := 0
			for property, label := range sensitiveLabels {
				if !hasKey(objectAt(inputs, "sensitiveLabels"), resource.PropertyKey(property)) {
					continue
				}
				given++
				if hasKey(objectAt(inputs, labels), resource.PropertyKey(label)) {
					v.fail("sensitiveLabels."+property, "%s cannot be set in both labels and sensitiveLabels", label)
				}
			}
			if hasKey(inputs, "sensitiveLabels") && given != 1 {
				v.fail("sensitiveLabels", "exactly one of authToken, password and serviceKey must be given")
			}
		},
		api: &notificationChannelAPI{restAPI{
			endpoint:    monitoringEndpoint,
			idOf:        "{+name}",
			path:        "v3/{+name}",
			assigned:    "name",
			collection:  "v3/projects/{project}/notificationChannels",
			maskInQuery: true,
			newBody: func(props resource.PropertyMap, body map[string]any) any {
				return withSensitiveLabels(props, body)
			},
		}},
	}
}

// withSensitiveLabels adds them to the labels that the API knows.
func withSensitiveLabels(props resource.PropertyMap, body map[string]any) map[string]any {
	all, _ := body[labels].(map[string]any)
	for property, label := range sensitiveLabels {
		if value := text(objectAt(props, "sensitiveLabels"), property); value != "" {
			if all == nil {
				all = map[string]any{}
				body[labels] = all
			}
			all[label] = value
		}
	}
	return body
}

// notificationChannelAPI keeps secret labels, which the API does not show again.
type notificationChannelAPI struct{ restAPI }

// read has the sensitive labels as they were wanted: those of sensitiveLabels
// are in the state alone, those of labels as the program gave them.
func (a *notificationChannelAPI) read(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap) (map[string]any, error) {
	object, err := a.restAPI.read(ctx, c, t, props)
	if err != nil {
		return nil, err
	}
	shown, _ := object[labels].(map[string]any)
	for property, label := range sensitiveLabels {
		if _, there := shown[label]; !there {
			continue
		}
		switch value := text(objectAt(props, labels), label); {
		case hasKey(objectAt(props, "sensitiveLabels"), resource.PropertyKey(property)):
			delete(shown, label)
		case value != "":
			shown[label] = value
		}
	}
	return object, nil
}

func (a *notificationChannelAPI) update(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap, changed []string) error {
	mask := map[string]bool{}
	for _, name := range changed {
		if name == "sensitiveLabels" {
			name = labels
		}
		mask[name] = true
	}
	names := make([]string, 0, len(mask))
	for name := range mask {
		names = append(names, name)
	}
	changing := a.restAPI
	changing.changeBody = func(body map[string]any, _ []string) any { return withSensitiveLabels(props, body) }
	return changing.update(ctx, c, t, props, names)
}

func (a *notificationChannelAPI) delete(ctx context.Context, c *client, _ *resourceType, state resource.PropertyMap) error {
	self, err := a.self(c, state)
	if err != nil {
		return err
	}
	_, err = c.call(ctx, http.MethodDelete, self+"?force="+strconv.FormatBool(isTrue(state, "forceDelete")), nil)
	return err
}
