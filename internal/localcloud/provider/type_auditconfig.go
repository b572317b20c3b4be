package provider

import (
	"context"
	"fmt"
	"net/http"
	"regexp"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/projects"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func projectAuditConfigType() *resourceType {
	return &resourceType{
		token:   "gcp:projects/iAMAuditConfig:IAMAuditConfig",
		inputs:  inputSchema(projects.IAMAuditConfigArgs{}),
		outputs: outputSchema(projects.IAMAuditConfig{}),
		traits: traits{
			"project":                           {place: inPath, replace: true, same: sameName},
			"service":                           {place: inPath, replace: true},
			"etag":                              {outputOnly: true},
			"auditLogConfigs":                   {required: true, set: true, key: "logType"},
			"auditLogConfigs[].logType":         {oneOf: []string{"ADMIN_READ", "DATA_READ", "DATA_WRITE"}},
			"auditLogConfigs[].exemptedMembers": {set: true},
		},
		api: &auditConfigAPI{projectPolicy},
	}
}

// auditConfigAPI is the audit logging of one API in a project's policy. It is
// authoritative for that API: what anyone else configured goes.
type auditConfigAPI struct{ iamBindingAPI }

const auditConfigID = "{project}/audit_config/{service}"

func (a *auditConfigAPI) id(props resource.PropertyMap) (string, error) {
	return expand(auditConfigID, props, unescaped)
}

var auditConfigImport = regexp.MustCompile(`^(?:projects/)?([^/ ]+) ([^/ ]+)$`)

// parse also takes "PROJECT SERVICE", which `pulumi import` is given.
func (a *auditConfigAPI) parse(id string) (resource.PropertyMap, error) {
	if parts := auditConfigImport.FindStringSubmatch(id); parts != nil {
		props := resource.PropertyMap{}
		setText(props, "project", parts[1])
		setText(props, "service", parts[2])
		return props, nil
	}
	return parseID(id, auditConfigID)
}

func (a *auditConfigAPI) create(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap) (string, error) {
	id, err := a.id(props)
	if err != nil {
		return "", err
	}
	body, err := t.body(props)
	if err != nil {
		return "", err
	}
	return id, a.configure(ctx, c, props, map[string]any{"service": text(props, "service"), "auditLogConfigs": body["auditLogConfigs"]})
}

// configure puts mine in the place of what the policy says of the API; nil
// leaves nothing there.
func (a *auditConfigAPI) configure(ctx context.Context, c *client, props resource.PropertyMap, mine map[string]any) error {
	return a.rewrite(ctx, c, props, func(policy map[string]any) {
		configs := []any{}
		all, _ := policy["auditConfigs"].([]any)
		for _, e := range all {
			if config, ok := e.(map[string]any); !ok || config["service"] != text(props, "service") {
				configs = append(configs, e)
			}
		}
		if mine != nil {
			configs = append(configs, mine)
		}
		policy["auditConfigs"] = configs
	})
}

func (a *auditConfigAPI) update(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap, _ []string) error {
	_, err := a.create(ctx, c, t, props)
	return err
}

func (a *auditConfigAPI) read(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (map[string]any, error) {
	policy, err := a.policy(ctx, c, props)
	if err != nil {
		return nil, err
	}
	all, _ := policy["auditConfigs"].([]any)
	for _, e := range all {
		if config, ok := e.(map[string]any); ok && config["service"] == text(props, "service") {
			return map[string]any{"etag": policy["etag"], "auditLogConfigs": config["auditLogConfigs"]}, nil
		}
	}
	return nil, &apiError{Code: http.StatusNotFound, Message: fmt.Sprintf("%s has no audit configuration", text(props, "service"))}
}

func (a *auditConfigAPI) delete(ctx context.Context, c *client, _ *resourceType, state resource.PropertyMap) error {
	return a.configure(ctx, c, state, nil)
}
