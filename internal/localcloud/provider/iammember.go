package provider

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// iamMemberAPI is the grant of one role to one member, under one condition or
// none, on one resource. Other members and bindings are kept as they are.
type iamMemberAPI struct{ iamBindingAPI }

// The resource's id, then its role, the member, and the condition's title.
func (m *iamMemberAPI) id(props resource.PropertyMap) (string, error) {
	on, err := m.on(props, unescaped)
	if err != nil {
		return "", err
	}
	id := on + "/" + text(props, "role") + "/" + text(props, "member")
	if title := text(objectAt(props, "condition"), "title"); title != "" {
		id += "/" + title
	}
	return id, nil
}

// memberID takes "RESOURCE/roles/ROLE/MEMBER", the same with spaces (what
// `pulumi import` is given), and either with a condition's title behind.
var memberID = regexp.MustCompile(`^(\S+?[/ ](?:projects/[^/ ]+/|organizations/[^/ ]+/)?roles/[^/ ]+)[/ ]([^/ ]+)(?:[/ ](.+))?$`)

func (m *iamMemberAPI) parse(id string) (resource.PropertyMap, error) {
	parts := memberID.FindStringSubmatch(id)
	if parts == nil {
		return nil, fmt.Errorf("id %q is not of the form %s roles/ROLE MEMBER", id, m.resource)
	}
	props, err := m.iamBindingAPI.parse(parts[1])
	if err != nil {
		return nil, err
	}
	setText(props, "member", parts[2])
	if parts[3] != "" {
		setObject(props, "condition", resource.PropertyMap{"title": resource.NewStringProperty(parts[3])})
	}
	return props, nil
}

func (m *iamMemberAPI) create(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (string, error) {
	id, err := m.id(props)
	if err != nil {
		return "", err
	}
	return id, m.modify(ctx, c, props, func(have []string) []string {
		if contains(have, props) {
			return have
		}
		return append(have, text(props, "member"))
	})
}

// read gives the grant; a member that does not have the role has none.
func (m *iamMemberAPI) read(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (map[string]any, error) {
	policy, err := m.policy(ctx, c, props)
	if err != nil {
		return nil, err
	}
	members, condition := granted(policy, props)
	if !contains(members, props) {
		return nil, &apiError{Code: http.StatusNotFound, Message: fmt.Sprintf("%s has no %s", text(props, "member"), text(props, "role"))}
	}
	object := map[string]any{"etag": policy["etag"]}
	if condition != nil {
		object["condition"] = condition
	}
	return object, nil
}

// update has nothing to change in place.
func (m *iamMemberAPI) update(context.Context, *client, *resourceType, resource.PropertyMap, []string) error {
	return nil
}

func (m *iamMemberAPI) delete(ctx context.Context, c *client, _ *resourceType, state resource.PropertyMap) error {
	return m.modify(ctx, c, state, func(have []string) []string {
		return slices.DeleteFunc(have, func(one string) bool { return sameMember(one, text(state, "member")) })
	})
}

func contains(members []string, props resource.PropertyMap) bool {
	return slices.ContainsFunc(members, func(one string) bool { return sameMember(one, text(props, "member")) })
}
