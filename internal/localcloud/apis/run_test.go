package apis_test

import (
	"context"
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
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

const servicePath = "/v2/" + parent + "/services/portal"

func portal(image string) string {
	return fmt.Sprintf(`{"template":{"containers":[{"image":%q}]}}`, image)
}

func (c *cloud) deploy(t *testing.T, body string) map[string]any {
	t.Helper()
	return c.succeeded(t, "v2", c.must(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal", body))
}

func TestAnOfficialClientRunsAServiceFromCreateToDelete(t *testing.T) {
	clients := map[string]func(context.Context, *cloud) (*run.ServicesClient, error){
		"over gRPC": func(ctx context.Context, c *cloud) (*run.ServicesClient, error) {
			return run.NewServicesClient(ctx, c.grpcOptions("owner-token")...)
		},
		"over REST": func(ctx context.Context, c *cloud) (*run.ServicesClient, error) {
			return run.NewServicesRESTClient(ctx, c.restOptions("owner-token")...)
		},
	}
	for title, connect := range clients {
		t.Run(title, func(t *testing.T) {
			ctx := t.Context()
			c, image := newReadyCloud(t)
			client, err := connect(ctx, c)
			require.NoError(t, err)
			defer client.Close()

			create, err := client.CreateService(ctx, &runpb.CreateServiceRequest{
				Parent: parent, ServiceId: "portal",
				Service: &runpb.Service{Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: image}}}},
			})
			require.NoError(t, err)
			created, err := create.Wait(ctx)
			require.NoError(t, err)
			assert.Equal(t, parent+"/services/portal", created.GetName())
			assert.Equal(t, owner, created.GetCreator())
			assert.Equal(t, int64(1), created.GetObservedGeneration())
			assert.Equal(t, runpb.Condition_CONDITION_SUCCEEDED, created.GetTerminalCondition().GetState())
			assert.Regexp(t, `/revisions/portal-00001-[a-z]{3}$`, created.GetLatestReadyRevision())
			assert.Equal(t, "http://127.0.0.1:1/"+parent+"/services/portal", created.GetUri())
			assert.Equal(t, []string{created.GetUri()}, created.GetUrls())

			created.Template.Timeout.Seconds = 3600
			update, err := client.UpdateService(ctx, &runpb.UpdateServiceRequest{Service: created})
			require.NoError(t, err)
			updated, err := update.Wait(ctx)
			require.NoError(t, err)
			assert.Regexp(t, `/revisions/portal-00002-[a-z]{3}$`, updated.GetLatestReadyRevision())
			assert.Equal(t, created.GetUid(), updated.GetUid())

			listed, err := client.ListServices(ctx, &runpb.ListServicesRequest{Parent: parent}).Next()
			require.NoError(t, err)
			assert.Equal(t, updated.GetEtag(), listed.GetEtag())

			del, err := client.DeleteService(ctx, &runpb.DeleteServiceRequest{Name: created.GetName(), Etag: updated.GetEtag()})
			require.NoError(t, err)
			gone, err := del.Wait(ctx)
			require.NoError(t, err)
			assert.NotNil(t, gone.GetDeleteTime())
			_, err = client.GetService(ctx, &runpb.GetServiceRequest{Name: created.GetName()})
			assert.ErrorContains(t, err, "Resource 'portal' of kind 'SERVICE' in region 'europe-west1' in project 'acme-dev' does not exist.")
			assert.Equal(t, []string{parent + "/services/portal"}, c.platform.removed)
		})
	}
}

func TestAServiceReadsWholeWhenOnlyAnImageWasGiven(t *testing.T) {
	c, image := newReadyCloud(t)
	got := c.deploy(t, portal(image))

	template := got["template"].(map[string]any)
	container := template["containers"].([]any)[0].(map[string]any)
	assert.Equal(t, "INGRESS_TRAFFIC_ALL", got["ingress"])
	assert.Equal(t, "GA", got["launchStage"])
	assert.Equal(t, []any{map[string]any{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100.0}}, got["traffic"])
	assert.Equal(t, got["traffic"], got["trafficStatuses"])
	assert.Equal(t, "300s", template["timeout"])
	assert.Equal(t, 80.0, template["maxInstanceRequestConcurrency"])
	assert.Equal(t, map[string]any{"maxInstanceCount": 100.0}, template["scaling"])
	assert.Equal(t, "123456789012-compute@developer.gserviceaccount.com", template["serviceAccount"])
	assert.Equal(t, map[string]any{"limits": map[string]any{"cpu": "1000m", "memory": "512Mi"}, "cpuIdle": true}, container["resources"])
	assert.Equal(t, []any{map[string]any{"name": "http1", "containerPort": 8080.0}}, container["ports"])
	assert.Equal(t, map[string]any{
		"timeoutSeconds": 240.0, "periodSeconds": 240.0, "failureThreshold": 1.0, "tcpSocket": map[string]any{"port": 8080.0},
	}, container["startupProbe"])
	assert.NotContains(t, got, "scaling")
	assert.NotContains(t, got, "invokerIamDisabled", "empty fields are left out")
}

func TestEveryFieldOfAStackComesBackAsItWasGiven(t *testing.T) {
	c, image := newReadyCloud(t)
	got := c.deploy(t, `{"labels":{"client":"acme"},"annotations":{"team":"x"},"ingress":"INGRESS_TRAFFIC_INTERNAL_ONLY",
		"binaryAuthorization":{"useDefault":true},"customAudiences":["https://mcp.acme.example"],
		"scaling":{"scalingMode":"MANUAL","manualInstanceCount":0},
		"template":{"labels":{"client":"acme"},"annotations":{"team":"x"},"sessionAffinity":true,
			"executionEnvironment":"EXECUTION_ENVIRONMENT_GEN2",
			"vpcAccess":{"networkInterfaces":[{"subnetwork":"inside","tags":["mcp"]}]},
			"containers":[{"image":"`+image+`","resources":{"startupCpuBoost":true,"cpuIdle":true}}]}}`)
	assert.Equal(t, map[string]any{"useDefault": true}, got["binaryAuthorization"])
	assert.Equal(t, []any{"https://mcp.acme.example"}, got["customAudiences"])
	assert.Equal(t, map[string]any{"scalingMode": "MANUAL", "manualInstanceCount": 0.0}, got["scaling"])
	template := got["template"].(map[string]any)
	assert.Equal(t, map[string]any{
		"egress": "PRIVATE_RANGES_ONLY", "networkInterfaces": []any{map[string]any{"subnetwork": "inside", "tags": []any{"mcp"}}},
	}, template["vpcAccess"], "private ranges alone, unless told")
	assert.Equal(t, map[string]any{"team": "x"}, template["annotations"])
	assert.Equal(t, "EXECUTION_ENVIRONMENT_GEN2", template["executionEnvironment"])
	revision := c.must(t, http.MethodGet, "/v2/"+got["latestReadyRevision"].(string), "")
	assert.Equal(t, template["vpcAccess"], revision["vpcAccess"])
}

func TestAServiceWithoutItsDefaultURLHasNone(t *testing.T) {
	c, image := newReadyCloud(t)
	c.deploy(t, portal(image))
	body := func(disabled bool) string {
		return fmt.Sprintf(`{"defaultUriDisabled":%t,"template":{"containers":[{"image":%q}]}}`, disabled, image)
	}
	hidden := c.succeeded(t, "v2", c.must(t, http.MethodPatch, servicePath, body(true)))
	assert.NotContains(t, hidden, "uri")
	assert.NotContains(t, hidden, "urls")
	assert.Contains(t, c.succeeded(t, "v2", c.must(t, http.MethodPatch, servicePath, body(false))), "uri")
}

func TestAServicesOwnZeroMinimumIsDropped(t *testing.T) {
	c, image := newReadyCloud(t)
	got := c.deploy(t, `{"scaling":{"minInstanceCount":0},"template":{"containers":[{"image":"`+image+`"}]}}`)
	assert.NotContains(t, got, "scaling")
}

func TestWhatOnlyTheAPIFillsInIsIgnoredInRequests(t *testing.T) {
	c, image := newReadyCloud(t)
	got := c.deploy(t, `{"name":"elsewhere","uid":"mine","uri":"https://evil.example","generation":"7","reconciling":true,"creator":"me",
		"template":{"containers":[{"image":"`+image+`","buildInfo":{"functionTarget":"x"}}]}}`)
	assert.Equal(t, parent+"/services/portal", got["name"])
	assert.NotEqual(t, "mine", got["uid"])
	assert.Equal(t, "1", got["generation"])
	assert.Equal(t, owner, got["creator"])
	assert.NotContains(t, got["template"].(map[string]any)["containers"].([]any)[0], "buildInfo")
}

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

func TestAServiceThatCannotBeIsRefusedWithEveryProblem(t *testing.T) {
	c, image := newReadyCloud(t)
	withContainer := func(fields string) string {
		return `{"template":{"containers":[{"image":"` + image + `",` + fields + `}]}}`
	}
	withTemplate := func(fields string) string {
		return `{"template":{` + fields + `,"containers":[{"image":"` + image + `"}]}}`
	}
	for _, tt := range []struct {
		title string
		id    string // portal where empty
		body  string
		want  []string // the fields complained of
	}{
		{"an id that is too long", strings.Repeat("a", 50), portal(image), []string{"service_id"}},
		{"an id with capitals", "Portal", portal(image), []string{"service_id"}},
		{"an id that ends with a hyphen", "portal-", portal(image), []string{"service_id"}},
		{"no template", "", `{}`, []string{"service.template"}},
		{"no containers", "", `{"template":{}}`, []string{"service.template.containers"}},
		{"no image", "", `{"template":{"containers":[{}]}}`, []string{"service.template.containers[0].image"}},
		{"an image that is none", "", portal("HOST/Not An Image"), []string{"service.template.containers[0].image"}},
		{"an image without a host", "", portal("server"), []string{"service.template.containers[0].image"}},
		{"minimum above maximum", "", withTemplate(`"scaling":{"minInstanceCount":3,"maxInstanceCount":2}`), []string{"service.template.scaling.min_instance_count"}},
		{"a timeout above an hour", "", withTemplate(`"timeout":"3601s"`), []string{"service.template.timeout"}},
		{"a negative timeout", "", withTemplate(`"timeout":"-1s"`), []string{"service.template.timeout"}},
		{"concurrency above 1000", "", withTemplate(`"maxInstanceRequestConcurrency":1001`), []string{"service.template.max_instance_request_concurrency"}},
		{"a revision named for another service", "", withTemplate(`"revision":"other-1"`), []string{"service.template.revision"}},
		{"cpu that is no quantity", "", withContainer(`"resources":{"limits":{"cpu":"lots"}}`), []string{"service.template.containers[0].resources.limits.cpu"}},
		{"three cpus", "", withContainer(`"resources":{"limits":{"cpu":"3"}}`), []string{"service.template.containers[0].resources.limits.cpu"}},
		{"too little memory for four cpus", "", withContainer(`"resources":{"limits":{"cpu":"4","memory":"1Gi"}}`), []string{"service.template.containers[0].resources.limits.memory"}},
		{"too much memory for one cpu", "", withContainer(`"resources":{"limits":{"cpu":"1","memory":"5Gi"}}`), []string{"service.template.containers[0].resources.limits.cpu"}},
		{"a fraction of a cpu for many requests, always on", "",
			`{"template":{"maxInstanceRequestConcurrency":80,"containers":[{"image":"` + image + `","resources":{"limits":{"cpu":"500m","memory":"256Mi"}}}]}}`,
			[]string{"service.template.containers[0].resources.cpu_idle", "service.template.max_instance_request_concurrency"}},
		{"two ports", "", withContainer(`"ports":[{"containerPort":1},{"containerPort":2}]`), []string{"service.template.containers[0].ports"}},
		{"a port out of range", "", withContainer(`"ports":[{"containerPort":70000}]`), []string{"service.template.containers[0].ports[0].container_port"}},
		{"two containers and no port", "", `{"template":{"containers":[{"image":"` + image + `"},{"image":"` + image + `"}]}}`, []string{"service.template.containers"}},
		{"reserved variables", "", withContainer(`"env":[{"name":"PORT","value":"1"},{"name":"K_SERVICE","value":"x"}]`), []string{"service.template.containers[0].env"}},
		{"a variable twice and one without a name", "", withContainer(`"env":[{"name":"A"},{"name":"A"},{"name":""}]`),
			[]string{"service.template.containers[0].env[1].name", "service.template.containers[0].env[2].name"}},
		{"a secret that cannot be one", "", withContainer(`"env":[{"name":"A","valueSource":{"secretKeyRef":{"secret":"a.b","version":"stable"}}}]`),
			[]string{"service.template.containers[0].env[0].value_source.secret_key_ref.secret", "service.template.containers[0].env[0].value_source.secret_key_ref.version"}},
		{"volumes that cannot be", "", `{"template":{"volumes":[{"name":"A"},{"name":"b","secret":{"secret":"","defaultMode":512,"items":[{"path":"../x","version":"0","mode":-1},{"path":"y","version":"1"},{"path":"./y","version":"latest"}]}}],"containers":[{"image":"` + image + `","volumeMounts":[{"name":"c","mountPath":"/x"},{"name":"b","mountPath":"y"},{"name":"b","mountPath":"/x/","subPath":"z"}]}]}}`,
			[]string{
				"service.template.volumes[0].name", "service.template.volumes[0]", "service.template.volumes[1].secret.secret", "service.template.volumes[1].secret.default_mode",
				"service.template.volumes[1].secret.items[0].path", "service.template.volumes[1].secret.items[0].version", "service.template.volumes[1].secret.items[0].mode",
				"service.template.volumes[1].secret.items[2].path",
				"service.template.containers[0].volume_mounts[0].name", "service.template.containers[0].volume_mounts[1].mount_path",
				"service.template.containers[0].volume_mounts[2].mount_path", "service.template.containers[0].volume_mounts[2].sub_path"}},
		{"sidecars that wait for each other", "",
			`{"template":{"containers":[{"name":"a","image":"` + image + `","ports":[{}],"dependsOn":["b","none"]},{"name":"b","image":"` + image + `","dependsOn":["a"],"startupProbe":{"tcpSocket":{"port":9}}}]}}`,
			[]string{"service.template.containers[0].depends_on", "service.template.containers[0].depends_on", "service.template.containers[1].depends_on"}},
		{"a sidecar that says neither when it is ready nor where", "",
			`{"template":{"containers":[{"name":"a","image":"` + image + `","ports":[{}],"dependsOn":["b"]},{"name":"b","image":"` + image + `","livenessProbe":{"httpGet":{}}}]}}`,
			[]string{"service.template.containers[0].depends_on", "service.template.containers[1].liveness_probe"}},
		{"a probe that waits longer than its period", "", withContainer(`"livenessProbe":{"timeoutSeconds":20,"periodSeconds":10,"httpGet":{}}`),
			[]string{"service.template.containers[0].liveness_probe.timeout_seconds"}},
		{"a probe of nothing", "", withContainer(`"startupProbe":{"timeoutSeconds":1}`), []string{"service.template.containers[0].startup_probe"}},
		{"a label with capitals and an annotation of the system's", "", `{"labels":{"Client":"x"},"annotations":{"run.googleapis.com/x":"y"},"template":{"containers":[{"image":"` + image + `"}]}}`,
			[]string{"service.annotations", "service.labels"}},
		{"traffic that does not add up", "", `{"traffic":[{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST","percent":50}],"template":{"containers":[{"image":"` + image + `"}]}}`, []string{"service.traffic"}},
		{"a count of instances without manual scaling", "", `{"scaling":{"manualInstanceCount":1},"template":{"containers":[{"image":"` + image + `"}]}}`, []string{"service.scaling.manual_instance_count"}},
		{"an audience that is empty and one that is given twice", "", `{"customAudiences":["","a","a"],"template":{"containers":[{"image":"` + image + `"}]}}`,
			[]string{"service.custom_audiences[0]", "service.custom_audiences[2]"}},
		{"a key of another region", "", withTemplate(`"encryptionKey":"projects/acme-dev/locations/us-east1/keyRings/r/cryptoKeys/k"`), []string{"service.template.encryption_key"}},
		{"a key that is none", "", withTemplate(`"encryptionKey":"k"`), []string{"service.template.encryption_key"}},
		{"a network interface on nothing", "", withTemplate(`"vpcAccess":{"networkInterfaces":[{"tags":["web"]}]}`), []string{"service.template.vpc_access.network_interfaces[0]"}},
		{"network interfaces that cannot be", "", withTemplate(`"vpcAccess":{"egress":7,"networkInterfaces":[{"network":"Not a network","subnetwork":"/","tags":["1"]},{"network":"b"}]}`),
			[]string{"service.template.vpc_access.egress", "service.template.vpc_access.network_interfaces", "service.template.vpc_access.network_interfaces[0].network",
				"service.template.vpc_access.network_interfaces[0].subnetwork", "service.template.vpc_access.network_interfaces[0].tags[0]"}},
		{"egress to nowhere", "", withTemplate(`"vpcAccess":{"egress":"ALL_TRAFFIC"}`), []string{"service.template.vpc_access"}},
		{"a connector beside a network interface", "", withTemplate(`"vpcAccess":{"connector":"c","networkInterfaces":[{"network":"n"}]}`),
			[]string{"service.template.vpc_access", "service.template.vpc_access.connector"}},
		{"a reason to break the glass and no glass", "", `{"binaryAuthorization":{"breakglassJustification":"night"},"template":{"containers":[{"image":"` + image + `"}]}}`,
			[]string{"service.binary_authorization.breakglass_justification"}},
		{"a boost of one container of two", "",
			`{"template":{"containers":[{"image":"` + image + `","ports":[{}],"resources":{"startupCpuBoost":true}},{"image":"` + image + `"}]}}`,
			[]string{"service.template.containers"}},
		{"a processor that is always there with little memory", "", withContainer(`"resources":{"limits":{"memory":"256Mi"}}`), []string{"service.template.containers[0].resources.limits.memory"}},
		{"a scaling mode that is none", "", `{"scaling":{"scalingMode":7},"template":{"containers":[{"image":"` + image + `"}]}}`, []string{"service.scaling.scaling_mode"}},
		{"many problems at once", "X", `{"template":{"timeout":"9999s","maxInstanceRequestConcurrency":-1,"containers":[{"image":""}]}}`,
			[]string{"service.template.containers[0].image", "service.template.max_instance_request_concurrency", "service.template.timeout", "service_id"}},
	} {
		t.Run(tt.title, func(t *testing.T) {
			id := tt.id
			if id == "" {
				id = "portal"
			}
			a := c.call(t, http.MethodPost, "/v2/"+parent+"/services?serviceId="+id, tt.body)
			require.Equal(t, http.StatusBadRequest, a.code, a.text)
			problem, message := a.problem()
			assert.Equal(t, "INVALID_ARGUMENT", problem["status"])
			var fields []string
			for _, v := range problem["details"].([]any)[0].(map[string]any)["fieldViolations"].([]any) {
				field := strings.TrimPrefix(v.(map[string]any)["field"].(string), "CreateServiceRequest.")
				fields = append(fields, field)
				assert.Contains(t, message, "Violation in CreateServiceRequest."+field+": ")
			}
			assert.ElementsMatch(t, tt.want, fields, message)
			assert.Empty(t, c.platform.deployments())
		})
	}
}

func TestAServiceMayBeAsLargeAsCloudRunAllows(t *testing.T) {
	c, image := newReadyCloud(t)
	for title, body := range map[string]string{
		"a fraction of a cpu for one request": `{"template":{"containers":[{"image":"` + image + `","resources":{"limits":{"cpu":"0.5","memory":"256Mi"},"cpuIdle":true}}]}}`,
		"eight cpus":                          `{"template":{"containers":[{"image":"` + image + `","resources":{"limits":{"cpu":"8","memory":"32Gi"}}}]}}`,
		"a sidecar":                           `{"template":{"containers":[{"name":"a","image":"` + image + `","ports":[{}]},{"name":"b","image":"` + image + `"}]}}`,
		"a sidecar to wait for":               `{"template":{"containers":[{"name":"a","image":"` + image + `","ports":[{}],"dependsOn":["b"]},{"name":"b","image":"` + image + `","startupProbe":{"tcpSocket":{"port":9000}}}]}}`,
		"secrets and a scratch directory":     `{"template":{"volumes":[{"name":"s","secret":{"secret":"k","items":[{"path":"a/b","version":"1","mode":256}]}},{"name":"e","emptyDir":{}}],"containers":[{"image":"` + image + `","env":[{"name":"K","valueSource":{"secretKeyRef":{"secret":"k","version":"latest"}}}],"volumeMounts":[{"name":"s","mountPath":"/s"},{"name":"e","mountPath":"/tmp/e"}]}]}}`,
		"a revision of one's own name":        `{"template":{"revision":"portal-green","containers":[{"image":"` + image + `"}]}}`,
		"no instances":                        `{"scaling":{"scalingMode":"MANUAL","manualInstanceCount":0},"template":{"containers":[{"image":"` + image + `"}]}}`,
	} {
		t.Run(title, func(t *testing.T) {
			c.deploy(t, body)
			c.succeeded(t, "v2", c.must(t, http.MethodDelete, servicePath, ""))
		})
	}
}

func TestWhatTheLocalCloudDoesNotHaveIsSaid(t *testing.T) {
	c, image := newReadyCloud(t)
	a := c.call(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal",
		`{"iapEnabled":true,"template":{"vpcAccess":{"connector":"projects/p/locations/l/connectors/c"},"containers":[{"image":"`+image+`"}]}}`)
	problem, message := a.problem()
	assert.Equal(t, http.StatusNotImplemented, a.code)
	assert.Equal(t, "UNIMPLEMENTED", problem["status"])
	assert.Equal(t, "the local cloud does not have service.iap_enabled, service.template.vpc_access.connector; leave it unset here", message)
}

func TestAServiceRunsAsAnAccountThatExists(t *testing.T) {
	c, image := newReadyCloud(t)
	body := `{"template":{"serviceAccount":"portal@acme-dev.iam.gserviceaccount.com","containers":[{"image":"` + image + `"}]}}`
	a := c.call(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal", body)
	_, message := a.problem()
	assert.Equal(t, http.StatusForbidden, a.code)
	assert.Equal(t, "Permission 'iam.serviceaccounts.actAs' denied on service account portal@acme-dev.iam.gserviceaccount.com (or it may not exist).", message)
	c.must(t, http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"portal"}`)
	got := c.deploy(t, body)
	assert.Equal(t, "portal@acme-dev.iam.gserviceaccount.com", got["template"].(map[string]any)["serviceAccount"])
}

func TestAMaskNamesFieldsThatExist(t *testing.T) {
	ctx := t.Context()
	c, image := newReadyCloud(t)
	c.deploy(t, portal(image))
	client, err := run.NewServicesClient(ctx, c.grpcOptions("owner-token")...)
	require.NoError(t, err)
	defer client.Close()
	_, err = client.UpdateService(ctx, &runpb.UpdateServiceRequest{
		Service:    &runpb.Service{Name: parent + "/services/portal"},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"template.nothing"}},
	})
	assert.Equal(t, codes.InvalidArgument, status.Code(err))
	assert.ErrorContains(t, err, `has no field "nothing"`)
}
