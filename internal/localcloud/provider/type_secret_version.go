package provider

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/secretmanager"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func secretVersionType() *resourceType {
	return &resourceType{
		token:   "gcp:secretmanager/secretVersion:SecretVersion",
		inputs:  inputSchema(secretmanager.SecretVersionArgs{}),
		outputs: outputSchema(secretmanager.SecretVersion{}),
		traits:  secretVersionTraits,
		api:     secretVersionAPI{},
	}
}

// secretVersionTraits follows the plugin's schema of
// google_secret_manager_secret_version. New data is a new version: it is there
// before the old one goes.
var secretVersionTraits = traits{
	"secret": {replace: true,
		match: regexp.MustCompile(`^projects/[^/]+/secrets/[^/]+$`), says: "expected projects/PROJECT/secrets/SECRET: give it the secret's id"},
	"secretData":          {replace: true, required: true},
	"isSecretDataBase64":  {place: inState, replace: true, fallback: false},
	"secretDataWoVersion": {place: inState, replace: true},
	"enabled":             {fallback: true},
	"deletionPolicy":      {place: inState, fallback: "DELETE", oneOf: []string{"DELETE", "DISABLE", "ABANDON"}},
}

// secretVersionAPI adds versions to a secret. The API numbers them, so a version
// has its id only once it exists.
type secretVersionAPI struct{}

// The name is the API's, with the project's number.
func (secretVersionAPI) id(props resource.PropertyMap) (string, error) {
	return text(props, "name"), nil
}

var secretVersionID = regexp.MustCompile(`^projects/[^/ ]+/secrets/[^/ ]+/versions/[0-9]+$`)

func (secretVersionAPI) parse(id string) (resource.PropertyMap, error) {
	if !secretVersionID.MatchString(id) {
		return nil, fmt.Errorf("id %q is not of the form projects/PROJECT/secrets/SECRET/versions/NUMBER", id)
	}
	return resource.PropertyMap{"name": resource.NewStringProperty(id)}, nil
}

func (a secretVersionAPI) create(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (string, error) {
	data := text(props, "secretData")
	if !isTrue(props, "isSecretDataBase64") {
		data = base64.StdEncoding.EncodeToString([]byte(data))
	}
	added, err := c.call(ctx, http.MethodPost, c.url(secretManagerEndpoint, text(props, "secret")+":addVersion"),
		map[string]any{"payload": map[string]any{"data": data}})
	if err != nil {
		return text(props, "secret"), err
	}
	name, _ := added["name"].(string)
	return name, a.turn(ctx, c, name, props)
}

// turn enables or disables a version.
func (secretVersionAPI) turn(ctx context.Context, c *client, name string, props resource.PropertyMap) error {
	method := ":disable"
	if isTrue(props, "enabled") {
		method = ":enable"
	}
	_, err := c.call(ctx, http.MethodPost, c.url(secretManagerEndpoint, name+method), map[string]any{})
	return err
}

// read also reads the data, as the plugin does, to see whether it is still the
// same. The data of a version that is off cannot be read: it is what it was.
func (secretVersionAPI) read(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (map[string]any, error) {
	name := text(props, "name")
	object, err := c.call(ctx, http.MethodGet, c.url(secretManagerEndpoint, name), nil)
	if err != nil {
		return nil, err
	}
	enabled := object["state"] == "ENABLED"
	object["enabled"] = enabled
	object["version"] = path.Base(name)
	object["secret"] = text(props, "secret")
	if object["secret"] == "" { // an import
		object["secret"], _, _ = strings.Cut(name, "/versions/")
	}
	object["secretData"] = text(props, "secretData")
	if !enabled {
		return object, nil
	}
	accessed, err := c.call(ctx, http.MethodGet, c.url(secretManagerEndpoint, name+":access"), nil)
	if err != nil {
		return nil, err
	}
	payload, _ := accessed["payload"].(map[string]any)
	data, _ := payload["data"].(string)
	if !isTrue(props, "isSecretDataBase64") {
		plain, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			return nil, fmt.Errorf("decoding the data of %s: %w", name, err)
		}
		data = string(plain)
	}
	object["secretData"] = data
	return object, nil
}

func (a secretVersionAPI) update(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap, changed []string) error {
	if !slices.Contains(changed, "enabled") {
		return nil
	}
	return a.turn(ctx, c, text(props, "name"), props)
}

func (secretVersionAPI) delete(ctx context.Context, c *client, _ *resourceType, state resource.PropertyMap) error {
	method := ":destroy"
	switch text(state, "deletionPolicy") {
	case "ABANDON":
		return nil
	case "DISABLE":
		method = ":disable"
	}
	_, err := c.call(ctx, http.MethodPost, c.url(secretManagerEndpoint, text(state, "name")+method), map[string]any{})
	return err
}
