package apis_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	run "cloud.google.com/go/run/apiv2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func newServiceCloud(t *testing.T) *cloud {
	t.Helper()
	c, image := newReadyCloud(t)
	c.deploy(t, portal(image))
	return c
}

func TestAGrantShowsInThePolicyAndAsInvoker(t *testing.T) {
	c := newServiceCloud(t)
	service := parent + "/services/portal"
	empty := c.must(t, http.MethodGet, servicePath+":getIamPolicy", "")
	assert.Equal(t, map[string]any{"etag": "ABAB"}, empty)
	assert.Empty(t, c.apis.Invokers(service))

	set := c.must(t, http.MethodPost, servicePath+":setIamPolicy", `{"policy":{"etag":"ABAB","bindings":[
		{"role":"roles/run.invoker","members":["user:sam@example.com","group:devs@example.com"]},
		{"role":"roles/run.invoker","members":["group:devs@example.com"]},
		{"role":"roles/run.viewer","members":[]}]}}`)
	assert.Equal(t, []any{map[string]any{"role": "roles/run.invoker", "members": []any{"group:devs@example.com", "user:sam@example.com"}}}, set["bindings"],
		"merged, sorted, and without what grants nothing")
	assert.Equal(t, set, c.must(t, http.MethodGet, servicePath+":getIamPolicy?options.requestedPolicyVersion=3", ""))
	assert.Equal(t, []string{"group:devs@example.com", "user:sam@example.com"}, c.apis.Invokers(service))

	c.must(t, http.MethodPost, servicePath+":setIamPolicy", `{"policy":{}}`)
	assert.Empty(t, c.apis.Invokers(service))
}

func TestAPolicyThatCannotBeIsRefused(t *testing.T) {
	c := newServiceCloud(t)
	for _, tt := range []struct{ title, policy, message string }{
		{"a group that is not there", `{"bindings":[{"role":"roles/run.invoker","members":["group:nobody@example.com"]}]}`, "Group nobody@example.com does not exist."},
		{"a person who is not there", `{"bindings":[{"role":"roles/run.invoker","members":["user:nobody@example.com"]}]}`, "User nobody@example.com does not exist."},
		{"an account that is not there", `{"bindings":[{"role":"roles/run.invoker","members":["serviceAccount:x@acme-dev.iam.gserviceaccount.com"]}]}`, "Service account x@acme-dev.iam.gserviceaccount.com does not exist."},
		{"a member without a type", `{"bindings":[{"role":"roles/run.invoker","members":["devs@example.com"]}]}`, "The member devs@example.com is of an unknown type."},
		{"a deleted member", `{"bindings":[{"role":"roles/run.invoker","members":["deleted:user:x@example.com?uid=1"]}]}`, "is of an unknown type."},
		{"a member that is no address", `{"bindings":[{"role":"roles/run.invoker","members":["group:devs"]}]}`, "Invalid member group:devs"},
		{"a role of another service", `{"bindings":[{"role":"roles/storage.admin","members":["allUsers"]}]}`, "Role roles/storage.admin is not supported for this resource."},
		{"a condition in an old version", `{"version":1,"bindings":[{"role":"roles/run.invoker","members":["allUsers"],"condition":{"title":"t","expression":"true"}}]}`, "A policy with conditions must have version 3"},
		{"no policy", `null`, "The policy is missing"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			a := c.call(t, http.MethodPost, servicePath+":setIamPolicy", `{"policy":`+tt.policy+`}`)
			_, message := a.problem()
			assert.Equal(t, http.StatusBadRequest, a.code)
			assert.Contains(t, message, tt.message)
		})
	}
	assert.Empty(t, c.apis.Invokers(parent+"/services/portal"))
}

func TestGrantsUnderAConditionDoNotMakeInvokers(t *testing.T) {
	c := newServiceCloud(t)
	c.must(t, http.MethodPost, servicePath+":setIamPolicy", `{"policy":{"version":3,"bindings":[
		{"role":"roles/run.invoker","members":["group:devs@example.com"]},
		{"role":"roles/run.invoker","members":["user:sam@example.com"],"condition":{"title":"t","expression":"true"}}]}}`)
	assert.Equal(t, []string{"group:devs@example.com"}, c.apis.Invokers(parent+"/services/portal"))
	assert.Len(t, c.must(t, http.MethodGet, servicePath+":getIamPolicy?options.requestedPolicyVersion=3", "")["bindings"], 2)
	old := c.must(t, http.MethodGet, servicePath+":getIamPolicy", "")
	assert.Contains(t, old["bindings"].([]any)[1].(map[string]any)["role"], "roles/run.invoker_withcond_")
}

func TestServiceAgentsMayBeGrantedRoles(t *testing.T) {
	c := newServiceCloud(t)
	c.must(t, http.MethodPost, servicePath+":setIamPolicy", `{"policy":{"bindings":[{"role":"roles/run.invoker","members":["serviceAccount:`+agent+`"]}]}}`)
	assert.Equal(t, []string{"serviceAccount:" + agent}, c.apis.Invokers(parent+"/services/portal"))
}

func TestAPolicyGoesWithItsService(t *testing.T) {
	c, image := newReadyCloud(t)
	c.deploy(t, portal(image))
	c.must(t, http.MethodPost, servicePath+":setIamPolicy", `{"policy":{"bindings":[{"role":"roles/run.invoker","members":["allUsers"]}]}}`)
	c.succeeded(t, "v2", c.must(t, http.MethodDelete, servicePath, ""))
	assert.Empty(t, c.apis.Invokers(parent+"/services/portal"))
	assert.Equal(t, http.StatusNotFound, c.call(t, http.MethodGet, servicePath+":getIamPolicy", "").code)
	c.deploy(t, portal(image))
	assert.Empty(t, c.apis.Invokers(parent+"/services/portal"))
}

func TestOfManyWhoGrantAtOnceNoGrantIsLost(t *testing.T) {
	ctx := t.Context()
	c := newServiceCloud(t)
	client, err := run.NewServicesClient(ctx, c.grpcOptions("owner-token")...)
	require.NoError(t, err)
	defer client.Close()
	const writers = 8
	for i := range writers {
		c.directory.mu.Lock()
		c.directory.known[fmt.Sprintf("user:dev%d@example.com", i)] = true
		c.directory.mu.Unlock()
	}
	resource := parent + "/services/portal"
	grant := func(member string) error {
		policy, err := client.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{Resource: resource})
		if err != nil {
			return err
		}
		policy.Bindings = append(policy.Bindings, &iampb.Binding{Role: "roles/run.invoker", Members: []string{member}})
		_, err = client.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: resource, Policy: policy})
		return err
	}
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			// Each refusal means that another has won, so this ends.
			err := grant(fmt.Sprintf("user:dev%d@example.com", i))
			for status.Code(err) == codes.Aborted {
				err = grant(fmt.Sprintf("user:dev%d@example.com", i))
			}
			assert.NoError(t, err)
		})
	}
	group.Wait()
	assert.Len(t, c.apis.Invokers(resource), writers)
}
