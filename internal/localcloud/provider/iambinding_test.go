package provider

import (
	"fmt"
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

const servicePath = "/v2/projects/p1/locations/europe-west1/services/acme"

func withService(t *testing.T) (*fakeCloud, *engine) {
	t.Helper()
	cloud := newFakeCloud(t)
	cloud.objects[servicePath] = &runpb.Service{Name: servicePath[4:]}
	return cloud, attach(t, cloud)
}

func invokers(members ...any) map[string]any {
	return map[string]any{"name": "acme", "location": "europe-west1", "role": "roles/run.invoker", "members": members}
}

func (f *fakeCloud) setPolicy(bindings ...map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []any{}
	for _, b := range bindings {
		list = append(list, b)
	}
	f.policies[servicePath] = map[string]any{"etag": "by-hand", "bindings": list}
}

func (f *fakeCloud) bindings() any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.policies[servicePath]["bindings"]
}

func TestBindingIsAuthoritativeForItsRoleAndCondition(t *testing.T) {
	viewer := map[string]any{"role": "roles/run.viewer", "members": []any{"user:v@example.com"}}
	conditional := map[string]any{"role": "roles/run.invoker", "members": []any{"user:c@example.com"},
		"condition": map[string]any{"title": "hours", "expression": "true"}}
	cloud, e := withService(t)
	cloud.setPolicy(viewer, conditional, map[string]any{"role": "roles/run.invoker", "members": []any{"user:by-hand@example.com"}})

	binding := e.create(bindingToken, invokers("group:a@example.com", "group:b@example.com"))
	assert.Equal(t, "projects/p1/locations/europe-west1/services/acme/roles/run.invoker", binding.id)
	assert.Equal(t, "projects/p1/locations/europe-west1/services/acme", binding.state["name"], "in full, as in the plugin's state")
	assert.Equal(t, []any{viewer, conditional, map[string]any{"role": "roles/run.invoker", "members": []any{"group:a@example.com", "group:b@example.com"}}}, cloud.bindings())
	assert.Equal(t, 3.0, cloud.policies[servicePath]["version"], "or the condition would be lost")

	assert.Equal(t, binding, e.refresh(binding), "nothing to see in a refresh after up")
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(binding, invokers("group:b@example.com", "group:A@example.com")).GetChanges(), "members have no order, addresses no case")

	resp := e.diff(binding, invokers("group:b@example.com", "group:c@example.com"))
	assert.Equal(t, []string{"members"}, resp.GetDiffs())
	assert.Empty(t, resp.GetReplaces())
	binding = e.update(binding, invokers("group:c@example.com"))
	assert.Equal(t, []any{"group:c@example.com"}, binding.state["members"])

	require.NoError(t, e.delete(binding))
	assert.Equal(t, []any{viewer, conditional}, cloud.bindings())
}

func TestBindingDrift(t *testing.T) {
	cloud, e := withService(t)
	binding := e.create(bindingToken, invokers("group:a@example.com"))

	cloud.setPolicy(map[string]any{"role": "roles/run.invoker", "members": []any{"group:a@example.com", "allUsers"}})
	drifted := e.refresh(binding)
	assert.Equal(t, []any{"group:a@example.com", "allUsers"}, drifted.state["members"])
	assert.Contains(t, e.diff(drifted, invokers("group:a@example.com")).GetDetailedDiff(), "members[1]")
	e.update(drifted, invokers("group:a@example.com"))
	assert.NotContains(t, fmt.Sprint(cloud.bindings()), "allUsers")

	cloud.setPolicy()
	gone := e.refresh(binding)
	assert.Equal(t, binding.id, gone.id, "a binding that is gone has no members")
	assert.Empty(t, gone.state["members"])
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_SOME, e.diff(gone, invokers("group:a@example.com")).GetChanges())

	delete(cloud.objects, servicePath)
	assert.Empty(t, e.refresh(binding).id, "gone with its service")
	require.NoError(t, e.delete(binding))
}

func TestBindingWithNoMembersSuspends(t *testing.T) {
	cloud, e := withService(t)
	binding := e.create(bindingToken, invokers("group:a@example.com"))
	binding = e.update(binding, invokers())
	assert.Equal(t, []any{}, cloud.bindings())
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(binding, invokers()).GetChanges())
	cloud.setPolicy(map[string]any{"role": "roles/run.invoker", "members": []any{"user:by-hand@example.com"}})
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_SOME, e.diff(e.refresh(binding), invokers()).GetChanges(), "and keeps its authority")
}

func TestBindingCondition(t *testing.T) {
	cloud, e := withService(t)
	inputs := edited(t, invokers("group:a@example.com"), map[string]any{"title": "hours", "expression": "true", "description": ""}, "condition")
	binding := e.create(bindingToken, inputs)
	assert.Equal(t, "projects/p1/locations/europe-west1/services/acme/roles/run.invoker/hours", binding.id)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(e.refresh(binding), inputs).GetChanges())
	assert.Equal(t, []string{"condition"}, e.diff(binding, invokers("group:a@example.com")).GetReplaces())
	plain := e.create(bindingToken, invokers("group:b@example.com"))
	assert.Len(t, cloud.bindings(), 2)
	require.NoError(t, e.delete(binding))
	assert.Equal(t, []any{"group:b@example.com"}, e.refresh(plain).state["members"])
}

func TestBindingReplacement(t *testing.T) {
	_, e := withService(t)
	binding := e.create(bindingToken, invokers("group:a@example.com"))
	for name, tc := range map[string]struct {
		value any
		path  string
		want  []string
	}{
		"another role":                    {"roles/run.viewer", "role", []string{"role"}},
		"another service":                 {"other", "name", []string{"name"}},
		"a service not known yet":         {unknownText, "name", []string{"name"}},
		"another place":                   {"europe-west4", "location", []string{"location"}},
		"the same service, named in full": {"projects/p1/locations/europe-west1/services/acme", "name", nil},
		"the place left to the provider":  {nil, "location", nil},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, e.diff(binding, edited(t, invokers("group:a@example.com"), tc.value, tc.path)).GetReplaces())
		})
	}
}

func TestBindingImport(t *testing.T) {
	_, e := withService(t)
	e.create(bindingToken, invokers("group:a@example.com"))
	imported := e.refresh(thing{token: bindingToken, id: "projects/p1/locations/europe-west1/services/acme roles/run.invoker"})
	assert.Equal(t, "projects/p1/locations/europe-west1/services/acme/roles/run.invoker", imported.id)
	assert.Equal(t, []any{"group:a@example.com"}, imported.inputs["members"])
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(imported, invokers("group:a@example.com")).GetChanges())
}

func TestBindingValidation(t *testing.T) {
	_, e := withService(t)
	for name, tc := range map[string]struct {
		inputs map[string]any
		want   []string
	}{
		"nothing given":         {map[string]any{}, []string{"members", "name", "role"}},
		"a member with no type": {invokers("ann@example.com", "group:a@example.com"), []string{"members[0]"}},
		"not a role":            {edited(t, invokers(), "run.invoker", "role"), []string{"role"}},
		"a condition without its expression": {
			edited(t, invokers(), map[string]any{"title": "t"}, "condition"), []string{"condition.expression"}},
		"the public is a matter of policy, not of the plugin's": {invokers("allUsers"), nil},
		"members not known yet":                                 {invokers(unknownText), nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, failures := e.check(bindingToken, tc.inputs)
			var got []string
			for _, f := range failures {
				got = append(got, f.GetProperty())
			}
			assert.ElementsMatch(t, tc.want, got)
		})
	}
}

func TestBindingSurvivesOtherWriters(t *testing.T) {
	cloud, e := withService(t)
	cloud.conflicts = 3
	e.create(bindingToken, invokers("group:a@example.com"))
	assert.Equal(t, 4, cloud.count("POST "+servicePath+":setIamPolicy"))

	// Many at once, through the same provider: none may undo another.
	const writers = 8
	var group errgroup.Group
	for i := range writers {
		inputs := toStruct(t, e.checked(bindingToken, edited(t, invokers("group:a@example.com"), fmt.Sprintf("roles/run.r%d", i), "role")))
		group.Go(func() error {
			_, err := e.rpc.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urnOf(bindingToken), Properties: inputs})
			return err
		})
	}
	require.NoError(t, group.Wait())
	assert.Len(t, cloud.bindings(), writers+1)
}

func TestBindingIDs(t *testing.T) {
	api := resourceTypes()[bindingToken].api
	const on = "projects/p/locations/l/services/s"
	for name, tc := range map[string]struct{ id, role, title string }{
		"as in the state":          {on + "/roles/run.invoker", "roles/run.invoker", ""},
		"as pulumi import has it":  {on + " roles/run.invoker", "roles/run.invoker", ""},
		"a project's own role":     {on + "/projects/p/roles/mine", "projects/p/roles/mine", ""},
		"with a condition's title": {on + "/roles/run.invoker/office hours", "roles/run.invoker", "office hours"},
	} {
		t.Run(name, func(t *testing.T) {
			props, err := api.parse(tc.id)
			require.NoError(t, err)
			assert.Equal(t, on, text(props, "name"))
			assert.Equal(t, "l", text(props, "location"))
			assert.Equal(t, tc.role, text(props, "role"))
			assert.Equal(t, tc.title, text(objectAt(props, "condition"), "title"))
		})
	}
	_, err := api.parse("acme")
	assert.ErrorContains(t, err, "is not of the form")
}
