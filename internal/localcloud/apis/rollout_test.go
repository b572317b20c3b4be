package apis_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestThePlatformGetsImagesByDigestAtTheLocalRegistry(t *testing.T) {
	c, image := newReadyCloud(t)
	_, path, _ := strings.Cut(image, "/")
	repository, _, _ := strings.Cut(path, "@")
	for given, title := range map[string]string{
		image:                              "by digest at the local registry",
		region + "-docker.pkg.dev/" + path: "by digest at Google's host",
		region + "-docker.pkg.dev/" + repository + ":latest": "by tag at Google's host",
	} {
		t.Run(title, func(t *testing.T) {
			got := c.deploy(t, portal(given))
			all := c.platform.deployments()
			assert.Equal(t, image, all[len(all)-1].svc.GetTemplate().GetContainers()[0].GetImage())
			assert.Equal(t, given, got["template"].(map[string]any)["containers"].([]any)[0].(map[string]any)["image"])
			c.succeeded(t, "v2", c.must(t, http.MethodDelete, servicePath, ""))
		})
	}
}

func TestAnImageThatIsNotThereFailsTheRollout(t *testing.T) {
	c, image := newReadyCloud(t)
	digest := image[strings.Index(image, "@"):]
	for title, missing := range map[string]string{
		"another digest":           strings.Split(image, "@")[0] + "@sha256:" + strings.Repeat("0", 64),
		"another repository":       c.registry + "/acme-dev/nowhere/server" + digest,
		"another region":           "us-central1-docker.pkg.dev/acme-dev/images/server" + digest,
		"another registry":         "ghcr.io/acme-dev/images/server" + digest,
		"a project without access": c.registry + "/other-dev/images/server" + digest,
	} {
		t.Run(title, func(t *testing.T) {
			op := c.settled(t, "v2", c.must(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal", portal(missing)))
			problem := op["error"].(map[string]any)
			assert.EqualValues(t, codes.NotFound, problem["code"])
			assert.Contains(t, problem["message"], "Image '"+missing+"' not found.")
			c.succeeded(t, "v2", c.must(t, http.MethodDelete, servicePath, ""))
		})
	}
}

func TestARolloutThatFailsLeavesTheServiceToReadAndRepair(t *testing.T) {
	c, image := newReadyCloud(t)
	c.platform.set(errors.New("The user-provided container failed to start."), nil)
	op := c.settled(t, "v2", c.must(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal", portal(image)))
	problem := op["error"].(map[string]any)
	assert.EqualValues(t, codes.FailedPrecondition, problem["code"])
	assert.Regexp(t, `^Revision 'portal-00001-[a-z]{3}' is not ready and cannot serve traffic\. The user-provided container failed to start\.$`, problem["message"])

	got := c.must(t, http.MethodGet, servicePath, "")
	assert.Equal(t, "CONDITION_FAILED", got["terminalCondition"].(map[string]any)["state"])
	assert.NotContains(t, got, "latestReadyRevision")
	assert.NotContains(t, got, "uri")
	revision := c.must(t, http.MethodGet, "/v2/"+got["latestCreatedRevision"].(string), "")
	assert.Equal(t, "CONDITION_FAILED", revision["conditions"].([]any)[0].(map[string]any)["state"])

	c.platform.set(nil, nil)
	repaired := c.succeeded(t, "v2", c.must(t, http.MethodPatch, servicePath, portal(image)))
	assert.Contains(t, repaired["latestReadyRevision"], "portal-00002-", "the same template is tried anew after a failure")
}

func TestAFailedUpdateKeepsTheRevisionThatServes(t *testing.T) {
	c, image := newReadyCloud(t)
	before := c.deploy(t, portal(image))
	c.platform.set(status.Error(codes.DeadlineExceeded, "It took too long."), nil)
	op := c.settled(t, "v2", c.must(t, http.MethodPatch, servicePath, `{"template":{"timeout":"10s","containers":[{"image":"`+image+`"}]}}`))
	assert.EqualValues(t, codes.DeadlineExceeded, op["error"].(map[string]any)["code"], "the platform's own code is kept")
	after := c.must(t, http.MethodGet, servicePath, "")
	assert.Equal(t, before["latestReadyRevision"], after["latestReadyRevision"])
	assert.NotEqual(t, before["latestReadyRevision"], after["latestCreatedRevision"])
	assert.Equal(t, before["uri"], after["uri"])
}

func TestUpdates(t *testing.T) {
	withImage := func(format string) func(string) string {
		return func(image string) string { return fmt.Sprintf(format, image) }
	}
	for _, tt := range []struct {
		title       string
		query       string
		body        func(image string) string
		newRevision bool
		newEtag     bool
		deployed    int // calls of the platform in all
	}{
		{title: "nothing changed", body: portal, deployed: 1},
		{title: "a default written out changes nothing", deployed: 1,
			body: withImage(`{"ingress":"INGRESS_TRAFFIC_ALL","template":{"timeout":"300s","containers":[{"image":%q}]}}`)},
		{title: "a setting of the service keeps the revision", newEtag: true, deployed: 2,
			body: withImage(`{"description":"x","template":{"containers":[{"image":%q}]}}`)},
		{title: "a change of the template makes a revision", newRevision: true, newEtag: true, deployed: 2,
			body: withImage(`{"template":{"containers":[{"image":%q,"env":[{"name":"A","value":"1"}]}]}}`)},
		{title: "a mask changes what it names alone", query: "?updateMask=description", newEtag: true, deployed: 2,
			body: func(string) string { return `{"description":"x","template":{"containers":[]}}` }},
		{title: "validate_only changes nothing", query: "?validateOnly=true", deployed: 1,
			body: withImage(`{"template":{"timeout":"9s","containers":[{"image":%q}]}}`)},
	} {
		t.Run(tt.title, func(t *testing.T) {
			c, image := newReadyCloud(t)
			before := c.deploy(t, portal(image))
			c.succeeded(t, "v2", c.must(t, http.MethodPatch, servicePath+tt.query, tt.body(image)))
			after := c.must(t, http.MethodGet, servicePath, "")
			assert.Equal(t, tt.newRevision, before["latestReadyRevision"] != after["latestReadyRevision"], "a new revision")
			assert.Equal(t, tt.newEtag, before["etag"] != after["etag"], "a new etag")
			assert.Equal(t, tt.newEtag, before["generation"] != after["generation"], "a new generation")
			assert.Len(t, c.platform.deployments(), tt.deployed)
		})
	}
}

func TestAnUpdateOfAServiceThatIsNotThereMayMakeIt(t *testing.T) {
	c, image := newReadyCloud(t)
	a := c.call(t, http.MethodPatch, servicePath, portal(image))
	require.Equal(t, http.StatusNotFound, a.code)
	c.succeeded(t, "v2", c.must(t, http.MethodPatch, servicePath+"?allowMissing=true", portal(image)))
	c.must(t, http.MethodGet, servicePath, "")
	again := c.call(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal", portal(image))
	assert.Equal(t, http.StatusConflict, again.code)
}

func TestAStaleEtagIsRefused(t *testing.T) {
	c, image := newReadyCloud(t)
	c.deploy(t, portal(image))
	a := c.call(t, http.MethodPatch, servicePath, `{"etag":"\"old\"","template":{"containers":[{"image":"`+image+`"}]}}`)
	problem, message := a.problem()
	assert.Equal(t, http.StatusConflict, a.code)
	assert.Equal(t, "ABORTED", problem["status"])
	assert.Contains(t, message, "was specified but current version is")
	assert.Equal(t, http.StatusConflict, c.call(t, http.MethodDelete, servicePath+"?etag=old", "").code)
}

func TestOfManyWhoWriteWithOneEtagOneWins(t *testing.T) {
	c, image := newReadyCloud(t)
	before := c.deploy(t, portal(image))
	const writers = 12
	answers := make([]int, writers)
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			body, err := json.Marshal(map[string]any{"etag": before["etag"], "description": fmt.Sprint(i),
				"template": map[string]any{"containers": []any{map[string]any{"image": image}}}})
			if assert.NoError(t, err) {
				answers[i] = c.call(t, http.MethodPatch, servicePath, string(body)).code
			}
		})
	}
	group.Wait()
	won := 0
	for _, code := range answers {
		if code == http.StatusOK {
			won++
		} else {
			assert.Equal(t, http.StatusConflict, code)
		}
	}
	assert.Equal(t, 1, won)
	assert.False(t, c.platform.clash, "the platform is called once at a time for a service")
}

func TestDeletingStopsARolloutUnderWay(t *testing.T) {
	c, image := newReadyCloud(t)
	c.platform.set(nil, make(chan struct{})) // never let go
	create := c.must(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal", portal(image))
	busy := c.call(t, http.MethodPatch, servicePath, portal(image))
	assert.Equal(t, http.StatusConflict, busy.code, "a change during a rollout is refused")
	c.succeeded(t, "v2", c.must(t, http.MethodDelete, servicePath, ""))
	assert.Contains(t, c.settled(t, "v2", create), "error")
	assert.Equal(t, http.StatusNotFound, c.call(t, http.MethodGet, servicePath, "").code)
	assert.False(t, c.platform.clash)
}

func TestCloseStopsARolloutUnderWay(t *testing.T) {
	c, image := newReadyCloud(t)
	c.platform.set(nil, make(chan struct{}))
	create := c.must(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal", portal(image))
	require.NoError(t, c.apis.Close(t.Context()))
	assert.Contains(t, c.must(t, http.MethodGet, "/v2/"+create["name"].(string), ""), "error")
}

func TestWaitAnswersWhenTheOperationEnds(t *testing.T) {
	c, image := newReadyCloud(t)
	hold := make(chan struct{})
	c.platform.set(nil, hold)
	op := c.must(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal", portal(image))
	path := "/v2/" + op["name"].(string)
	assert.NotContains(t, c.must(t, http.MethodPost, path+":wait", `{"timeout":"0.01s"}`), "done")
	reading := c.must(t, http.MethodGet, servicePath, "")
	assert.Equal(t, true, reading["reconciling"])
	close(hold)
	assert.Equal(t, true, c.must(t, http.MethodPost, path+":wait", `{"timeout":"20s"}`)["done"])
	listed := c.must(t, http.MethodGet, "/v2/"+parent+"/operations", "")
	assert.Len(t, listed["operations"], 2, "one of Artifact Registry, one of Cloud Run")
}

func TestRevisionsAreListedAndRead(t *testing.T) {
	ctx := t.Context()
	c, image := newReadyCloud(t)
	c.deploy(t, portal(image))
	c.succeeded(t, "v2", c.must(t, http.MethodPatch, servicePath, `{"template":{"timeout":"60s","containers":[{"image":"`+image+`"}]}}`))
	client, err := run.NewRevisionsRESTClient(ctx, c.restOptions("owner-token")...)
	require.NoError(t, err)
	defer client.Close()
	var timeouts []int64
	for revision, err := range client.ListRevisions(ctx, &runpb.ListRevisionsRequest{Parent: parent + "/services/portal", PageSize: 1}).All() {
		require.NoError(t, err)
		timeouts = append(timeouts, revision.GetTimeout().GetSeconds())
		one, err := client.GetRevision(ctx, &runpb.GetRevisionRequest{Name: revision.GetName()})
		require.NoError(t, err)
		assert.Equal(t, revision.GetUid(), one.GetUid())
	}
	assert.Equal(t, []int64{300, 60}, timeouts)
}
