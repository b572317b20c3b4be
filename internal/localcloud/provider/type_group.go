package provider

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudidentity"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func groupType() *resourceType {
	return &resourceType{
		token:   "gcp:cloudidentity/group:Group",
		inputs:  inputSchema(cloudidentity.GroupArgs{}),
		outputs: outputSchema(cloudidentity.Group{}),
		traits: traits{
			"name":                {place: inPath},
			"parent":              {replace: true},
			"groupKey":            {replace: true},
			"labels":              {required: true},
			"additionalGroupKeys": {outputOnly: true},
			"initialGroupConfig": {place: inState, replace: true, fallback: "EMPTY", oneOf: []string{
				"INITIAL_GROUP_CONFIG_UNSPECIFIED", "WITH_INITIAL_OWNER", "EMPTY"}},
		},
		api: &restAPI{
			endpoint:    cloudIdentityEndpoint,
			idOf:        "{+name}",
			assigned:    "name",
			collection:  "groups?initialGroupConfig={initialGroupConfig}",
			maskInQuery: true,
			hides:       true,
		},
	}
}

func groupMembershipType() *resourceType {
	return &resourceType{
		token:   "gcp:cloudidentity/groupMembership:GroupMembership",
		inputs:  inputSchema(cloudidentity.GroupMembershipArgs{}),
		outputs: outputSchema(cloudidentity.GroupMembership{}),
		traits: traits{
			"name":                            {place: inPath},
			"group":                           {place: inState, replace: true},
			"memberKey":                       {replace: true, computed: true},
			"preferredMemberKey":              {replace: true, computed: true},
			"roles":                           {required: true, set: true, key: "name"},
			"roles[].name":                    {oneOf: []string{"OWNER", "MANAGER", "MEMBER"}},
			"roles[].expiryDetail.expireTime": {same: sameTime},
			"createIgnoreAlreadyExists":       {place: inState},
		},
		also: func(v *validation, inputs resource.PropertyMap) {
			if hasKey(inputs, "memberKey") == hasKey(inputs, "preferredMemberKey") {
				v.fail("preferredMemberKey", "exactly one of memberKey and preferredMemberKey must be given")
			}
		},
		// An import knows the membership's name alone, which begins with the group's.
		complete: func(props resource.PropertyMap) {
			if parts, err := parseID(text(props, "name"), "groups/{group}/memberships/{id}"); err == nil {
				setText(props, "group", "groups/"+text(parts, "group"))
			}
		},
		api: &groupMembershipAPI{restAPI{
			endpoint:   cloudIdentityEndpoint,
			idOf:       "{+name}",
			assigned:   "name",
			collection: "{+group}/memberships",
			hides:      true,
		}},
	}
}

// groupMembershipAPI changes roles, by a method that adds and removes them.
type groupMembershipAPI struct{ restAPI }

func (a *groupMembershipAPI) create(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap) (string, error) {
	id, err := a.restAPI.create(ctx, c, t, props)
	if !hasCode(err, http.StatusConflict) || !isTrue(props, "createIgnoreAlreadyExists") {
		return id, err
	}
	member := cmp.Or(text(objectAt(props, "preferredMemberKey"), "id"), text(objectAt(props, "memberKey"), "id"))
	found, err := c.call(ctx, http.MethodGet,
		c.url(a.endpoint, text(props, "group")+"/memberships:lookup?memberKey.id="+url.QueryEscape(member)), nil)
	if err != nil {
		return "", err
	}
	return assignedID(a.assigned, found)
}

func (a *groupMembershipAPI) update(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap, changed []string) error {
	if !slices.Contains(changed, "roles") {
		return nil
	}
	current, err := a.read(ctx, c, t, props)
	if err != nil {
		return err
	}
	body, err := t.body(props)
	if err != nil {
		return err
	}
	had, wanted := rolesByName(current["roles"]), rolesByName(body["roles"])
	var added, changedRoles []any
	var removed []string
	for name, role := range wanted {
		switch before, there := had[name]; {
		case !there:
			added = append(added, role)
		case expiry(before) != expiry(role):
			changedRoles = append(changedRoles, map[string]any{"fieldMask": "expiryDetail.expireTime", "membershipRole": role})
		}
	}
	for name := range had {
		if wanted[name] == nil {
			removed = append(removed, name)
		}
	}
	self, err := a.self(c, props)
	if err != nil {
		return err
	}
	// The API takes one or the other in a call.
	if len(added)+len(removed) > 0 {
		if _, err := c.call(ctx, http.MethodPost, self+":modifyMembershipRoles", map[string]any{"addRoles": added, "removeRoles": removed}); err != nil {
			return err
		}
	}
	if len(changedRoles) == 0 {
		return nil
	}
	_, err = c.call(ctx, http.MethodPost, self+":modifyMembershipRoles", map[string]any{"updateRolesParams": changedRoles})
	return err
}

func rolesByName(list any) map[string]map[string]any {
	roles := map[string]map[string]any{}
	all, _ := list.([]any)
	for _, e := range all {
		if role, ok := e.(map[string]any); ok {
			name, _ := role["name"].(string)
			roles[name] = role
		}
	}
	return roles
}

func expiry(role map[string]any) string {
	detail, _ := role["expiryDetail"].(map[string]any)
	when, _ := detail["expireTime"].(string)
	return when
}

// sameTime: an instant may be written in more than one zone.
func sameTime(a, b string) bool {
	ta, errA := time.Parse(time.RFC3339Nano, a)
	tb, errB := time.Parse(time.RFC3339Nano, b)
	return a == b || errA == nil && errB == nil && ta.Equal(tb)
}
