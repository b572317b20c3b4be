package provider

import (
	"strings"
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/status"
)

// A service as the client stack makes it.
func serviceInputs() map[string]any {
	return map[string]any{
		"name":               "acme",
		"location":           "europe-west1",
		"description":        "the server of acme",
		"deletionProtection": false,
		"invokerIamDisabled": false,
		"labels":             map[string]any{"client": "acme"},
		"template": map[string]any{
			"serviceAccount":                "acme@p1.iam.gserviceaccount.com",
			"timeout":                       "3600s",
			"maxInstanceRequestConcurrency": 80,
			"sessionAffinity":               true,
			"scaling":                       map[string]any{"minInstanceCount": 0, "maxInstanceCount": 3},
			"containers": []any{map[string]any{
				"image": "europe-west1-docker.pkg.dev/p1/berth/server@sha256:" + strings.Repeat("a", 64),
				"envs": []any{
					map[string]any{"name": "BERTH_CLIENT", "value": "acme"},
					map[string]any{"name": "BERTH_IDENTITY", "value": "cloudrun"},
				},
				"ports":        map[string]any{"containerPort": 8080},
				"resources":    map[string]any{"limits": map[string]any{"cpu": "1", "memory": "512Mi"}, "cpuIdle": true},
				"startupProbe": map[string]any{"httpGet": map[string]any{"path": "/health"}},
			}},
		},
	}
}

func minimalInputs() map[string]any {
	return map[string]any{
		"name":     "acme",
		"location": "europe-west1",
		"template": map[string]any{"containers": []any{map[string]any{"image": "i@sha256:" + strings.Repeat("a", 64)}}},
	}
}

func TestServiceLifecycle(t *testing.T) {
	for name, inputs := range map[string]map[string]any{"as the stack makes it": serviceInputs(), "with everything left to the platform": minimalInputs()} {
		t.Run(name, func(t *testing.T) {
			cloud := newFakeCloud(t)
			e := attach(t, cloud)
			service := e.create(serviceToken, inputs)
			assert.Equal(t, "projects/p1/locations/europe-west1/services/acme", service.id)
			assert.Equal(t, "acme", service.state["name"])
			assert.Contains(t, service.state["uri"], "http://127.0.0.1")
			assert.Equal(t, "CONDITION_SUCCEEDED", at(service.state, "terminalConditions", 0, "state"), "an object there is a list here")
			assert.Equal(t, 8080.0, at(service.state, "template", "containers", 0, "ports", "containerPort"), "a list there is an object here")
			assert.Equal(t, "true", at(service.state, "effectiveLabels", "goog-pulumi-provisioned"))
			assert.Contains(t, cloud.bodies["POST /v2/projects/p1/locations/europe-west1/services"], `"goog-pulumi-provisioned":"true"`)

			assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(service, inputs).GetChanges(), "nothing to do after up")
			refreshed := e.refresh(service)
			assert.Equal(t, service, refreshed, "nothing to see in a refresh after up")

			require.NoError(t, e.delete(thing{service.token, service.id, service.inputs, edited(t, service.state, false, "deletionProtection")}))
			assert.Empty(t, cloud.objects)
			assert.Empty(t, e.refresh(service).id, "gone")
			service.state["deletionProtection"] = false
			require.NoError(t, e.delete(service), "deleting what is gone is no error")
		})
	}
}

func TestServiceDiff(t *testing.T) {
	container := func(path ...any) []any { return append([]any{"template", "containers", 0}, path...) }
	env := func(name, value string) map[string]any { return map[string]any{"name": name, "value": value} }
	const (
		add, remove, change = pulumirpc.PropertyDiff_ADD, pulumirpc.PropertyDiff_DELETE, pulumirpc.PropertyDiff_UPDATE
		replacing           = pulumirpc.PropertyDiff_UPDATE_REPLACE
	)
	cloud := newFakeCloud(t)
	e := attach(t, cloud)
	service := e.create(serviceToken, serviceInputs())
	for name, tc := range map[string]struct {
		value any
		path  []any
		want  map[string]pulumirpc.PropertyDiff_Kind
	}{
		"another image is an update":          {"i@sha256:b", container("image"), map[string]pulumirpc.PropertyDiff_Kind{"template.containers[0].image": change}},
		"an image not known yet is an update": {unknownText, container("image"), map[string]pulumirpc.PropertyDiff_Kind{"template.containers[0].image": change}},
		"another name is a replacement":       {"acme2", []any{"name"}, map[string]pulumirpc.PropertyDiff_Kind{"name": replacing}},
		"another place is a replacement":      {"europe-west4", []any{"location"}, map[string]pulumirpc.PropertyDiff_Kind{"location": replacing}},
		"another project is a replacement":    {"p2", []any{"project"}, map[string]pulumirpc.PropertyDiff_Kind{"project": replacing}},
		"the same timeout in other words":     {"3600.0s", []any{"template", "timeout"}, nil},
		"the same cpu in other words":         {"1000m", container("resources", "limits", "cpu"), nil},
		"another cpu":                         {"2", container("resources", "limits", "cpu"), map[string]pulumirpc.PropertyDiff_Kind{`template.containers[0].resources.limits["cpu"]`: change}},
		"one limit of two dropped":            {nil, container("resources", "limits", "cpu"), map[string]pulumirpc.PropertyDiff_Kind{`template.containers[0].resources.limits["cpu"]`: remove}},
		"a computed timeout dropped":          {nil, []any{"template", "timeout"}, nil},
		"computed resources dropped":          {nil, container("resources"), nil},
		"a computed probe dropped":            {nil, container("startupProbe"), nil},
		"computed scaling dropped":            {nil, []any{"template", "scaling"}, nil},
		"one half of the scaling dropped":     {nil, []any{"template", "scaling", "maxInstanceCount"}, map[string]pulumirpc.PropertyDiff_Kind{"template.scaling.maxInstanceCount": remove}},
		"a description dropped":               {nil, []any{"description"}, map[string]pulumirpc.PropertyDiff_Kind{"description": remove}},
		"a true switched off by leaving it":   {nil, []any{"template", "sessionAffinity"}, map[string]pulumirpc.PropertyDiff_Kind{"template.sessionAffinity": remove}},
		"a false left out":                    {nil, []any{"invokerIamDisabled"}, nil},
		"invokers no longer checked":          {true, []any{"invokerIamDisabled"}, map[string]pulumirpc.PropertyDiff_Kind{"invokerIamDisabled": add}},
		"protection on":                       {true, []any{"deletionProtection"}, map[string]pulumirpc.PropertyDiff_Kind{"deletionProtection": change}},
		"protection by leaving it out":        {nil, []any{"deletionProtection"}, map[string]pulumirpc.PropertyDiff_Kind{"deletionProtection": change}},
		"variables in another order":          {[]any{env("BERTH_IDENTITY", "cloudrun"), env("BERTH_CLIENT", "acme")}, container("envs"), nil},
		"a variable's value":                  {[]any{env("BERTH_CLIENT", "acme"), env("BERTH_IDENTITY", "dev")}, container("envs"), map[string]pulumirpc.PropertyDiff_Kind{"template.containers[0].envs[1].value": change}},
		"one variable less":                   {[]any{env("BERTH_CLIENT", "acme")}, container("envs"), map[string]pulumirpc.PropertyDiff_Kind{"template.containers[0].envs[1]": remove}},
		"one variable for another":            {[]any{env("BERTH_CLIENT", "acme"), env("X", "y")}, container("envs"), map[string]pulumirpc.PropertyDiff_Kind{"template.containers[0].envs[1]": change}},
		"another label":                       {map[string]any{"client": "acme", "owner": "ann"}, []any{"labels"}, map[string]pulumirpc.PropertyDiff_Kind{`labels["owner"]`: add}},
		"all labels dropped":                  {nil, []any{"labels"}, map[string]pulumirpc.PropertyDiff_Kind{"labels": remove}},
		"a zero at service level, for ever":   {map[string]any{"minInstanceCount": 0}, []any{"scaling"}, map[string]pulumirpc.PropertyDiff_Kind{"scaling": add}},
		"an explicit launch stage as it was":  {"GA", []any{"launchStage"}, nil},
		"an explicit ingress as it was":       {"INGRESS_TRAFFIC_ALL", []any{"ingress"}, nil},
		"another ingress":                     {"INGRESS_TRAFFIC_INTERNAL_ONLY", []any{"ingress"}, map[string]pulumirpc.PropertyDiff_Kind{"ingress": change}},
		"scaled by hand, to none":             {map[string]any{"scalingMode": "MANUAL", "manualInstanceCount": 0}, []any{"scaling"}, map[string]pulumirpc.PropertyDiff_Kind{"scaling": add}},
		"another audience":                    {[]any{"https://mcp.acme.example"}, []any{"customAudiences"}, map[string]pulumirpc.PropertyDiff_Kind{"customAudiences": add}},
		"into the network": {map[string]any{"networkInterfaces": []any{map[string]any{"network": "inside"}}}, []any{"template", "vpcAccess"},
			map[string]pulumirpc.PropertyDiff_Kind{"template.vpcAccess": add}},
		"a key":                           {"projects/p1/locations/europe-west1/keyRings/r/cryptoKeys/k", []any{"template", "encryptionKey"}, map[string]pulumirpc.PropertyDiff_Kind{"template.encryptionKey": add}},
		"signed images alone":             {map[string]any{"useDefault": true}, []any{"binaryAuthorization"}, map[string]pulumirpc.PropertyDiff_Kind{"binaryAuthorization": add}},
		"no default URL":                  {true, []any{"defaultUriDisabled"}, map[string]pulumirpc.PropertyDiff_Kind{"defaultUriDisabled": add}},
		"another generation":              {"EXECUTION_ENVIRONMENT_GEN2", []any{"template", "executionEnvironment"}, map[string]pulumirpc.PropertyDiff_Kind{"template.executionEnvironment": add}},
		"a boost":                         {true, container("resources", "startupCpuBoost"), map[string]pulumirpc.PropertyDiff_Kind{"template.containers[0].resources.startupCpuBoost": add}},
		"an annotation of the template's": {map[string]any{"team": "x"}, []any{"template", "annotations"}, map[string]pulumirpc.PropertyDiff_Kind{"template.annotations": add}},
		"another port":                    {9090, container("ports", "containerPort"), map[string]pulumirpc.PropertyDiff_Kind{"template.containers[0].ports.containerPort": change}},
		"a second container": {[]any{at(serviceInputs(), container()...), map[string]any{"image": "sidecar@sha256:c"}}, []any{"template", "containers"},
			map[string]pulumirpc.PropertyDiff_Kind{"template.containers[1]": add}},
	} {
		t.Run(name, func(t *testing.T) {
			news := edited(t, serviceInputs(), tc.value, tc.path...)
			resp := e.diff(service, news)
			got := map[string]pulumirpc.PropertyDiff_Kind{}
			replaced := false
			for path, d := range resp.GetDetailedDiff() {
				got[path] = d.GetKind()
				replaced = replaced || d.GetKind() == replacing
			}
			if tc.want == nil {
				tc.want = map[string]pulumirpc.PropertyDiff_Kind{}
			}
			assert.Equal(t, tc.want, got)
			assert.Equal(t, len(got) > 0, resp.GetChanges() == pulumirpc.DiffResponse_DIFF_SOME)
			assert.Equal(t, replaced, len(resp.GetReplaces()) > 0)
			assert.Equal(t, replaced && news["name"] == "acme", resp.GetDeleteBeforeReplace(), "the old one goes first where the name is the same")
		})
	}
}

func TestServiceUpdate(t *testing.T) {
	cloud := newFakeCloud(t)
	e := attach(t, cloud)
	inputs := minimalInputs()
	service := e.create(serviceToken, inputs)
	cloud.run("acme", func(s *runpb.Service) { s.Labels["by-hand"] = "kept" })
	service = e.refresh(service)

	changed := edited(t, inputs, map[string]any{"owner": "ann"}, "labels")
	updated := e.update(service, changed)
	assert.Equal(t, map[string]any{"owner": "ann", "by-hand": "kept", "goog-pulumi-provisioned": "true"}, updated.state["effectiveLabels"])
	assert.Equal(t, map[string]any{"owner": "ann", "goog-pulumi-provisioned": "true"}, updated.state["pulumiLabels"])
	assert.Equal(t, map[string]any{"owner": "ann"}, updated.state["labels"])
	sent := cloud.bodies["PATCH /v2/projects/p1/locations/europe-west1/services/acme"]
	assert.Contains(t, sent, `"maxInstanceRequestConcurrency":80`, "what the platform had filled in is sent along")
	assert.Contains(t, sent, `"traffic":[`)
	assert.NotContains(t, sent, "terminalCondition")
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(updated, changed).GetChanges())
	assert.Equal(t, updated, e.refresh(updated))

	back := e.update(updated, inputs)
	assert.Equal(t, map[string]any{"by-hand": "kept", "goog-pulumi-provisioned": "true"}, back.state["effectiveLabels"])
}

func TestServicePreview(t *testing.T) {
	cloud := newFakeCloud(t)
	e := attach(t, cloud)
	before := len(cloud.calls)

	inputs := e.checked(serviceToken, edited(t, minimalInputs(), unknownText, "template", "containers", 0, "image"))
	resp, err := e.rpc.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urnOf(serviceToken), Properties: toStruct(t, inputs), Preview: true})
	require.NoError(t, err)
	planned := fromStruct(t, resp.GetProperties())
	assert.Equal(t, "acme", planned["name"])
	assert.Equal(t, "p1", planned["project"])
	assert.Equal(t, unknownText, planned["uri"])
	assert.Equal(t, unknownText, planned["traffics"])
	assert.Equal(t, unknownText, at(planned, "template", "timeout"))
	assert.Equal(t, unknownText, at(planned, "template", "containers", 0, "image"))
	assert.Equal(t, unknownText, at(planned, "template", "containers", 0, "resources"))
	assert.Equal(t, map[string]any{"goog-pulumi-provisioned": "true"}, planned["pulumiLabels"])
	assert.NotContains(t, planned, "description", "what is neither given nor computed is not there")
	assert.Len(t, cloud.calls, before, "a preview of a new resource calls nothing")

	service := e.create(serviceToken, minimalInputs())
	before = len(cloud.calls)
	update, err := e.rpc.Update(t.Context(), &pulumirpc.UpdateRequest{Id: service.id, Urn: urnOf(serviceToken), Preview: true,
		Olds: toStruct(t, service.state), News: toStruct(t, inputs)})
	require.NoError(t, err)
	planned = fromStruct(t, update.GetProperties())
	assert.Equal(t, service.state["uri"], planned["uri"], "known, as it does not change")
	assert.Equal(t, unknownText, at(planned, "template", "containers", 0, "image"))
	assert.Len(t, cloud.calls, before)
}

func TestServiceValidation(t *testing.T) {
	e := attach(t, newFakeCloud(t))
	for name, tc := range map[string]struct {
		inputs map[string]any
		want   []string
	}{
		"nothing given": {map[string]any{}, []string{"location", "template"}},
		"no image":      {edited(t, minimalInputs(), nil, "template", "containers", 0, "image"), []string{"template.containers[0].image"}},
		"unknown properties, at any depth": {
			edited(t, edited(t, minimalInputs(), "x", "template", "containers", 0, "imagee"), "y", "Ingress"),
			[]string{"Ingress", "template.containers[0].imagee"},
		},
		"wrong types": {
			edited(t, edited(t, edited(t, minimalInputs(), "80", "template", "maxInstanceRequestConcurrency"), 1, "description"), "x", "labels"),
			[]string{"description", "labels", "template.maxInstanceRequestConcurrency"},
		},
		"a broken number": {edited(t, minimalInputs(), 1.5, "template", "maxInstanceRequestConcurrency"), []string{"template.maxInstanceRequestConcurrency"}},
		"values that are none of the few": {
			edited(t, edited(t, edited(t, minimalInputs(), "ALL", "ingress"), "GOLD", "launchStage"), "GEN9", "template", "executionEnvironment"),
			[]string{"ingress", "launchStage", "template.executionEnvironment"},
		},
		"what is not known yet passes": {edited(t, edited(t, minimalInputs(), unknownText, "ingress"), unknownText, "template", "containers"), nil},
		"a plural where the plugin has a list": {
			edited(t, minimalInputs(), []any{}, "template", "containers", 0, "env"), []string{"template.containers[0].env"},
		},
		"ports as a list, as the API has them": {
			edited(t, minimalInputs(), []any{map[string]any{"containerPort": 1}}, "template", "containers", 0, "ports"), []string{"template.containers[0].ports"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, failures := e.check(serviceToken, tc.inputs)
			var got []string
			for _, f := range failures {
				got = append(got, f.GetProperty())
				assert.Contains(t, f.GetReason(), f.GetProperty())
			}
			assert.ElementsMatch(t, tc.want, got)
		})
	}
}

func TestServiceDefaults(t *testing.T) {
	e := attach(t, newFakeCloud(t))
	inputs := e.checked(serviceToken, edited(t, minimalInputs(), map[string]any{"httpGet": map[string]any{}}, "template", "containers", 0, "startupProbe"))
	assert.Equal(t, "p1", inputs["project"])
	assert.Equal(t, true, inputs["deletionProtection"])
	assert.Equal(t, map[string]any{"failureThreshold": 3.0, "periodSeconds": 10.0, "timeoutSeconds": 1.0, "initialDelaySeconds": 0.0,
		"httpGet": map[string]any{"path": "/"}}, at(inputs, "template", "containers", 0, "startupProbe"))

	unnamed := minimalInputs()
	delete(unnamed, "name")
	named := e.checked(serviceToken, unnamed)
	assert.Regexp(t, "^thing-[0-9a-f]{7}$", named["name"])
	resp, err := e.rpc.Check(t.Context(), &pulumirpc.CheckRequest{Urn: urnOf(serviceToken), Olds: toStruct(t, named), News: toStruct(t, unnamed), RandomSeed: []byte("another")})
	require.NoError(t, err)
	assert.Equal(t, named["name"], resp.GetInputs().AsMap()["name"], "a name is kept")
}

func TestDeletionProtectionIsThatOfTheState(t *testing.T) {
	cloud := newFakeCloud(t)
	e := attach(t, cloud)
	service := e.create(serviceToken, minimalInputs())
	err := e.delete(service)
	require.ErrorContains(t, err, "deletionProtection=false")
	assert.Len(t, cloud.objects, 1)

	patches := cloud.count("PATCH ")
	service = e.update(service, edited(t, minimalInputs(), false, "deletionProtection"))
	assert.Equal(t, false, service.state["deletionProtection"])
	assert.Equal(t, patches, cloud.count("PATCH "), "the API knows nothing of it, so no revision is made")
	require.NoError(t, e.delete(service))
}

func TestAServiceThatDoesNotStartIsKeptInTheState(t *testing.T) {
	cloud := newFakeCloud(t)
	e := attach(t, cloud)
	cloud.failDeploy = "Revision 'r1' is not ready: the container failed to start."
	inputs := e.checked(serviceToken, minimalInputs())
	_, err := e.rpc.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urnOf(serviceToken), Properties: toStruct(t, inputs)})
	require.ErrorContains(t, err, "failed to start")
	details := status.Convert(err).Details()
	require.Len(t, details, 1)
	init, ok := details[0].(*pulumirpc.ErrorResourceInitFailed)
	require.True(t, ok, "%T", details[0])
	assert.Equal(t, "projects/p1/locations/europe-west1/services/acme", init.GetId())
	assert.Equal(t, "acme", init.GetProperties().AsMap()["name"])
	assert.Equal(t, inputs, init.GetInputs().AsMap())

	// The engine updates it next time, though nothing differs.
	kept := thing{serviceToken, init.GetId(), inputs, init.GetProperties().AsMap()}
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(kept, minimalInputs()).GetChanges())
	_, err = e.rpc.Update(t.Context(), &pulumirpc.UpdateRequest{Id: kept.id, Urn: urnOf(serviceToken), Olds: toStruct(t, kept.state), News: toStruct(t, inputs)})
	require.ErrorContains(t, err, "failed to start", "it is tried again, and told again")
	cloud.failDeploy = ""
	e.update(kept, minimalInputs())
	assert.Equal(t, 2, cloud.count("PATCH "))
}

func TestAServiceThatExistsIsNotTakenOver(t *testing.T) {
	e := attach(t, newFakeCloud(t))
	e.create(serviceToken, minimalInputs())
	_, err := e.rpc.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urnOf(serviceToken), Properties: toStruct(t, e.checked(serviceToken, minimalInputs()))})
	assert.ErrorContains(t, err, "pulumi import gcp:cloudrunv2/service:Service thing 'projects/p1/locations/europe-west1/services/acme'")
}

func TestTheAPIsRefusalNamesTheField(t *testing.T) {
	e := attach(t, newFakeCloud(t))
	// The proto refuses what the plugin lets through.
	inputs := e.checked(serviceToken, edited(t, minimalInputs(), "soon", "template", "timeout"))
	_, err := e.rpc.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urnOf(serviceToken), Properties: toStruct(t, inputs)})
	require.ErrorContains(t, err, "googleapi: Error 400")
	assert.ErrorContains(t, err, "some.field: ")
}

func TestDriftIsSeenAndMended(t *testing.T) {
	cloud := newFakeCloud(t)
	e := attach(t, cloud)
	service := e.create(serviceToken, serviceInputs())
	cloud.run("acme", func(s *runpb.Service) {
		s.Description = "by hand"
		s.Template.Containers[0].Env = append(s.Template.Containers[0].Env, &runpb.EnvVar{Name: "X", Values: &runpb.EnvVar_Value{Value: "y"}})
		s.Client = "gcloud"
		delete(s.Labels, "goog-pulumi-provisioned")
	})
	drifted := e.refresh(service)
	assert.Equal(t, "by hand", drifted.inputs["description"])
	assert.Len(t, at(drifted.inputs, "template", "containers", 0, "envs"), 3)
	assert.Equal(t, "/health", at(drifted.inputs, "template", "containers", 0, "startupProbe", "httpGet", "path"))
	assert.NotContains(t, drifted.inputs, "traffics", "what only the platform filled in is no input")

	resp := e.diff(drifted, serviceInputs())
	assert.ElementsMatch(t, []string{"client", "description", "pulumiLabels", "template"}, resp.GetDiffs())
	resp = e.diff(drifted, serviceInputs(), "client", "description", "pulumiLabels")
	assert.NotContains(t, resp.GetDiffs(), "client", "ignoreChanges holds also for what the program never set")
	assert.NotContains(t, resp.GetDiffs(), "description")

	mended := e.update(drifted, serviceInputs())
	assert.Equal(t, service.state["description"], mended.state["description"])
	assert.Equal(t, "true", at(mended.state, "effectiveLabels", "goog-pulumi-provisioned"))
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(mended, serviceInputs()).GetChanges())
}

func TestImportByID(t *testing.T) {
	e := attach(t, newFakeCloud(t))
	service := e.create(serviceToken, edited(t, minimalInputs(), "d", "description"))
	for _, id := range []string{service.id, "p1/europe-west1/acme"} {
		t.Run(id, func(t *testing.T) {
			imported := e.refresh(thing{token: serviceToken, id: id})
			assert.Equal(t, service.id, imported.id)
			assert.Equal(t, "acme", imported.inputs["name"])
			assert.Equal(t, "d", imported.inputs["description"])
			assert.NotContains(t, imported.inputs, "traffics", "what the platform filled in by itself is no input")
			assert.NotContains(t, at(imported.inputs, "template", "containers", 0), "resources")
			assert.Equal(t, true, imported.state["deletionProtection"], "as the plugin presumes")
			assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(thing{serviceToken, imported.id, imported.inputs, edited(t, imported.state, map[string]any{"goog-pulumi-provisioned": "true"}, "pulumiLabels")}, imported.inputs).GetChanges())
		})
	}
	_, err := e.rpc.Read(t.Context(), &pulumirpc.ReadRequest{Id: "nonsense", Urn: urnOf(serviceToken)})
	assert.ErrorContains(t, err, "is not of the form projects/{project}/locations/{location}/services/{name}")
}
