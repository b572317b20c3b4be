package provider

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

const (
	// policyAttempts bounds the read-modify-write of a policy that others write
	// too; each attempt loses only to a write that succeeded.
	policyAttempts = 12
	// conditionVersion is the policy version that can hold conditions.
	conditionVersion = 3
)

// iamBindingAPI is the grant of one role, under one condition or none, on one
// resource. It is authoritative for that: members that anyone else added go.
// Every other binding of the policy is kept as it is.
type iamBindingAPI struct {
	endpoint setting
	// resource is the id of what the policy is on; named is the property of
	// the binding that names it, by its last part or in full.
	resource string
	named    string
	// ofProject: the policy is a project's, and asked for as Cloud Resource
	// Manager wants it.
	ofProject bool
	// ofBucket: the policy is a bucket's, which Cloud Storage has at a path of
	// its own.
	ofBucket bool
}

// The resource's id, then its role, then the condition's title.
func (b *iamBindingAPI) id(props resource.PropertyMap) (string, error) {
	on, err := b.on(props, unescaped)
	if err != nil {
		return "", err
	}
	id := on + "/" + text(props, "role")
	if title := text(objectAt(props, "condition"), "title"); title != "" {
		id += "/" + title
	}
	return id, nil
}

// on is the path of what the policy is on.
func (b *iamBindingAPI) on(props resource.PropertyMap, escape func(string) string) (string, error) {
	short := resource.PropertyMap{}
	merge(short, props)
	if name := text(props, b.named); name != "" && b.resource != "{+"+b.named+"}" {
		setText(short, b.named, name[strings.LastIndexByte(name, '/')+1:])
	}
	return expand(b.resource, short, escape)
}

// bindingID takes "RESOURCE/roles/run.invoker", "RESOURCE roles/run.invoker"
// (what `pulumi import` is given), and either with a condition's title behind.
var bindingID = regexp.MustCompile(`^(\S+?)[/ ]((?:projects/[^/ ]+/|organizations/[^/ ]+/)?roles/[^/ ]+)(?:[/ ](.+))?$`)

func (b *iamBindingAPI) parse(id string) (resource.PropertyMap, error) {
	parts := bindingID.FindStringSubmatch(id)
	if parts == nil {
		return nil, fmt.Errorf("id %q is not of the form %s roles/ROLE", id, b.resource)
	}
	props, err := parseID(parts[1], b.resource)
	if err != nil {
		return nil, err
	}
	setText(props, b.named, parts[1]) // in full, as the plugin's state has it
	setText(props, "role", parts[2])
	if parts[3] != "" {
		setObject(props, "condition", resource.PropertyMap{"title": resource.NewStringProperty(parts[3])})
	}
	return props, nil
}

// binding is one entry of a policy, as JSON.
type binding = map[string]any

func (b *iamBindingAPI) create(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (string, error) {
	id, err := b.id(props)
	if err != nil {
		return "", err
	}
	return id, b.modify(ctx, c, props, func([]string) []string { return membersOf(props) })
}

func (b *iamBindingAPI) update(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap, _ []string) error {
	_, err := b.create(ctx, c, t, props)
	return err
}

func (b *iamBindingAPI) delete(ctx context.Context, c *client, _ *resourceType, state resource.PropertyMap) error {
	return b.modify(ctx, c, state, func([]string) []string { return nil })
}

// read gives the members as they are. A policy without the binding has it with
// no members, so that the next update grants anew.
func (b *iamBindingAPI) read(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (map[string]any, error) {
	policy, err := b.policy(ctx, c, props)
	if err != nil {
		return nil, err
	}
	members, condition := granted(policy, props)
	object := map[string]any{"etag": policy["etag"], "members": anys(members)}
	if condition != nil {
		object["condition"] = condition
	}
	return object, nil
}

// granted gives the members that a policy has for the role and condition of
// props, and the condition as the policy has it.
func granted(policy map[string]any, props resource.PropertyMap) (members []string, condition any) {
	for _, entry := range bindingsOf(policy) {
		if !grants(entry, props) {
			continue
		}
		list, _ := entry["members"].([]any)
		for _, member := range list {
			members = append(members, fmt.Sprint(member))
		}
		if entry["condition"] != nil {
			condition = entry["condition"]
		}
	}
	return members, condition
}

// modify rewrites the policy with the members that change makes of those who
// have the role under the condition.
func (b *iamBindingAPI) modify(ctx context.Context, c *client, props resource.PropertyMap, change func(have []string) []string) error {
	return b.rewrite(ctx, c, props, func(policy map[string]any) {
		bindings := []any{}
		for _, entry := range bindingsOf(policy) {
			if !grants(entry, props) {
				bindings = append(bindings, entry)
			}
		}
		have, condition := granted(policy, props)
		if members := change(have); len(members) > 0 { // the API has no binding without members
			mine := binding{"role": text(props, "role"), "members": members}
			if asked := objectAt(props, "condition"); len(asked) > 0 && condition == nil {
				condition = asked.Mappable()
			}
			if condition != nil {
				mine["condition"] = condition
			}
			bindings = append(bindings, mine)
		}
		policy["bindings"] = bindings
		if slices.ContainsFunc(bindings, func(e any) bool { return e.(binding)["condition"] != nil }) {
			policy["version"] = conditionVersion
		}
	})
}

// rewrite writes the policy as change makes it, starting over when someone else
// wrote in between.
func (b *iamBindingAPI) rewrite(ctx context.Context, c *client, props resource.PropertyMap, change func(policy map[string]any)) error {
	pause := pollFirst
	for attempt := 1; ; attempt++ {
		err := b.tryRewrite(ctx, c, props, change)
		// Cloud Storage calls it a failed precondition.
		if !hasCode(err, http.StatusConflict) && !hasCode(err, http.StatusPreconditionFailed) {
			return err
		}
		if attempt == policyAttempts {
			return fmt.Errorf("the IAM policy was changed by others during each of %d attempts; run `pulumi up` again: %w", policyAttempts, err)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, pollMost)
	}
}

func (b *iamBindingAPI) tryRewrite(ctx context.Context, c *client, props resource.PropertyMap, change func(policy map[string]any)) error {
	policy, err := b.policy(ctx, c, props)
	if err != nil {
		return err
	}
	change(policy)
	self, err := b.self(c, props)
	if err != nil {
		return err
	}
	request := map[string]any{"policy": policy}
	if b.ofProject {
		request["updateMask"] = "bindings,etag,auditConfigs"
	}
	if b.ofBucket {
		_, err = c.call(ctx, http.MethodPut, self+"/iam", policy)
		return err
	}
	_, err = c.call(ctx, http.MethodPost, self+":setIamPolicy", request)
	return err
}

func (b *iamBindingAPI) policy(ctx context.Context, c *client, props resource.PropertyMap) (map[string]any, error) {
	self, err := b.self(c, props)
	if err != nil {
		return nil, err
	}
	if b.ofProject {
		return c.call(ctx, http.MethodPost, self+":getIamPolicy",
			map[string]any{"options": map[string]any{"requestedPolicyVersion": conditionVersion}})
	}
	if b.ofBucket {
		return c.call(ctx, http.MethodGet, fmt.Sprintf("%s/iam?optionsRequestedPolicyVersion=%d", self, conditionVersion), nil)
	}
	return c.call(ctx, http.MethodGet, fmt.Sprintf("%s:getIamPolicy?options.requestedPolicyVersion=%d", self, conditionVersion), nil)
}

func (b *iamBindingAPI) self(c *client, props resource.PropertyMap) (string, error) {
	on, err := b.on(props, url.PathEscape)
	if b.ofProject {
		on = "v1/projects/" + on
	}
	return c.url(b.endpoint, on), err
}

func bindingsOf(policy map[string]any) []binding {
	list, _ := policy["bindings"].([]any)
	var bindings []binding
	for _, e := range list {
		if entry, ok := e.(binding); ok {
			bindings = append(bindings, entry)
		}
	}
	return bindings
}

// grants tells whether an entry of the policy is the one that props is about.
// Right after an import only the condition's title is known.
func grants(entry binding, props resource.PropertyMap) bool {
	if entry["role"] != text(props, "role") {
		return false
	}
	have, _ := entry["condition"].(map[string]any)
	want := objectAt(props, "condition").Mappable()
	if _, full := want["expression"]; !full && len(want) > 0 {
		return have["title"] == want["title"]
	}
	return sameCondition(have, want)
}

// conditionFields make up a condition; a description may be empty or left out.
var conditionFields = []string{"title", "description", "expression"}

func sameCondition(a, b map[string]any) bool {
	for _, field := range conditionFields {
		x, _ := a[field].(string)
		y, _ := b[field].(string)
		if x != y {
			return false
		}
	}
	return true
}

func anys(texts []string) []any {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	return list
}

func membersOf(props resource.PropertyMap) []string {
	members := []string{}
	if v := props["members"]; v.IsArray() {
		for _, m := range v.ArrayValue() {
			if m.IsString() {
				members = append(members, m.StringValue())
			}
		}
	}
	slices.Sort(members)
	return slices.Compact(members)
}
