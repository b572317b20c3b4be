package provider

import (
	"testing"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestAccount(t *testing.T) {
	cloud := newFakeCloud(t)
	e := attach(t, cloud)
	inputs := map[string]any{"accountId": "berth-acme", "displayName": "acme"}

	planned, err := e.rpc.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urnOf(accountToken), Preview: true, Properties: toStruct(t, e.checked(accountToken, inputs))})
	require.NoError(t, err)
	assert.Equal(t, "serviceAccount:berth-acme@p1.iam.gserviceaccount.com", planned.GetProperties().AsMap()["member"], "known in the preview")
	assert.Equal(t, unknownText, planned.GetProperties().AsMap()["uniqueId"])

	account := e.create(accountToken, inputs)
	assert.Equal(t, "projects/p1/serviceAccounts/berth-acme@p1.iam.gserviceaccount.com", account.id)
	assert.Equal(t, "100", account.state["uniqueId"])
	assert.JSONEq(t, `{"accountId":"berth-acme","serviceAccount":{"displayName":"acme"}}`, cloud.bodies["POST /v1/projects/p1/serviceAccounts"])
	assert.Equal(t, account, e.refresh(account))
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(account, inputs).GetChanges())

	resp := e.diff(account, map[string]any{"accountId": "berth-other", "displayName": "acme"})
	assert.Equal(t, []string{"accountId"}, resp.GetReplaces())
	assert.False(t, resp.GetDeleteBeforeReplace())

	changed := map[string]any{"accountId": "berth-acme", "displayName": "Acme", "disabled": true}
	account = e.update(account, changed)
	assert.Equal(t, "Acme", account.state["displayName"])
	assert.Equal(t, true, account.state["disabled"])
	assert.JSONEq(t, `{"serviceAccount":{"displayName":"Acme"},"updateMask":"displayName"}`,
		cloud.bodies["PATCH /v1/projects/p1/serviceAccounts/berth-acme@p1.iam.gserviceaccount.com"])
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(account, changed).GetChanges())

	imported := e.refresh(thing{token: accountToken, id: "berth-acme@p1.iam.gserviceaccount.com"})
	assert.Equal(t, account.id, imported.id)
	assert.Equal(t, "berth-acme", imported.inputs["accountId"])

	_, err = e.rpc.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urnOf(accountToken), Properties: toStruct(t, e.checked(accountToken, inputs))})
	assert.Equal(t, codes.AlreadyExists, status.Code(err))
	e.create(accountToken, map[string]any{"accountId": "berth-acme", "createIgnoreAlreadyExists": true})

	require.NoError(t, e.delete(account))
	assert.Empty(t, cloud.accounts)
	assert.Empty(t, e.refresh(account).id)
}

func TestAccountValidation(t *testing.T) {
	e := attach(t, newFakeCloud(t))
	for id, ok := range map[string]bool{
		"berth-acme": true, "abcdef": true, "abcde": false, "Berth-acme": false, "1berth": false, "berth-": false,
		"a23456789012345678901234567890": true, "a234567890123456789012345678901": false,
	} {
		t.Run(id, func(t *testing.T) {
			_, failures := e.check(accountToken, map[string]any{"accountId": id})
			assert.Equal(t, ok, len(failures) == 0)
		})
	}
}

func TestRepository(t *testing.T) {
	cloud := newFakeCloud(t)
	e := attach(t, cloud)
	inputs := map[string]any{
		"repositoryId": "berth", "format": "DOCKER", "description": "images",
		"cleanupPolicies": []any{
			map[string]any{"id": "keep", "action": "KEEP", "mostRecentVersions": map[string]any{"keepCount": 5}},
			map[string]any{"id": "drop", "action": "DELETE", "condition": map[string]any{"tagState": "ANY"}},
		},
	}
	repository := e.create(repositoryToken, inputs)
	assert.Equal(t, "projects/p1/locations/europe-west1/repositories/berth", repository.id)
	assert.Equal(t, "berth", repository.state["name"])
	assert.Equal(t, "drop", at(repository.state, "cleanupPolicies", 0, "id"), "a map by id there is a list here")
	assert.Equal(t, 5.0, at(repository.state, "cleanupPolicies", 1, "mostRecentVersions", "keepCount"))
	assert.Equal(t, repository, e.refresh(repository))
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(repository, inputs).GetChanges())
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(repository, edited(t, inputs, "docker", "format")).GetChanges())

	for name, tc := range map[string]struct {
		value any
		path  []any
		want  []string
	}{
		"another format":      {"NPM", []any{"format"}, []string{"format"}},
		"another place":       {"europe-west4", []any{"location"}, []string{"location"}},
		"another mode":        {"REMOTE_REPOSITORY", []any{"mode"}, []string{"mode"}},
		"another description": {"pictures", []any{"description"}, nil},
		"another cleanup":     {6, []any{"cleanupPolicies", 0, "mostRecentVersions", "keepCount"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			resp := e.diff(repository, edited(t, inputs, tc.value, tc.path...))
			assert.Equal(t, tc.want, resp.GetReplaces())
			assert.Equal(t, []string{tc.path[0].(string)}, resp.GetDiffs())
			assert.Equal(t, tc.want != nil, resp.GetDeleteBeforeReplace())
		})
	}

	changed := edited(t, inputs, map[string]any{"client": "acme"}, "labels")
	repository = e.update(repository, changed)
	stored := cloud.objects["/v1/projects/p1/locations/europe-west1/repositories/berth"].(*artifactregistrypb.Repository)
	assert.Equal(t, map[string]string{"client": "acme", "goog-pulumi-provisioned": "true"}, stored.GetLabels())
	assert.Equal(t, "images", stored.GetDescription(), "only what changed is masked")
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(repository, changed).GetChanges())

	require.NoError(t, e.delete(repository))
	assert.Empty(t, cloud.objects)
}

func TestRepositoryValidation(t *testing.T) {
	e := attach(t, newFakeCloud(t))
	_, failures := e.check(repositoryToken, map[string]any{"format": "CONTAINERS", "cleanupPolicies": []any{map[string]any{"action": "keep"}}})
	var got []string
	for _, f := range failures {
		got = append(got, f.GetProperty())
	}
	assert.ElementsMatch(t, []string{"format", "repositoryId", "cleanupPolicies[0].id", "cleanupPolicies[0].action"}, got)
}

func TestProjectService(t *testing.T) {
	cloud := newFakeCloud(t)
	e := attach(t, cloud)
	inputs := map[string]any{"service": "run.googleapis.com"}
	service := e.create(enableToken, inputs)
	assert.Equal(t, "p1/run.googleapis.com", service.id)
	assert.Equal(t, false, service.state["disableOnDestroy"])
	assert.Equal(t, service, e.refresh(service))
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(service, inputs).GetChanges())
	assert.Equal(t, []string{"service"}, e.diff(service, map[string]any{"service": "iam.googleapis.com"}).GetReplaces())

	require.NoError(t, e.delete(service))
	assert.True(t, cloud.enabled["run.googleapis.com"], "it stays enabled unless told otherwise")

	service = e.update(service, map[string]any{"service": "run.googleapis.com", "disableOnDestroy": true})
	require.NoError(t, e.delete(service))
	assert.False(t, cloud.enabled["run.googleapis.com"])
	assert.Empty(t, e.refresh(service).id)

	_, failures := e.check(enableToken, map[string]any{"service": "run"})
	require.Len(t, failures, 1)
	assert.Equal(t, "service", failures[0].GetProperty())
}

func TestLabelsOfTheProviderReachEveryResourceThatTakesThem(t *testing.T) {
	cloud := newFakeCloud(t)
	e := attach(t, cloud, map[string]any{"defaultLabels": `{"team":"berth"}`, "addPulumiAttributionLabel": "false"})
	service := e.create(serviceToken, serviceInputs())
	assert.Equal(t, map[string]any{"client": "acme", "team": "berth"}, service.state["pulumiLabels"])
	assert.Equal(t, map[string]any{"client": "acme"}, service.state["labels"])

	other := attach(t, cloud, map[string]any{"defaultLabels": `{"team":"other"}`, "addPulumiAttributionLabel": "false"})
	resp := other.diff(service, serviceInputs())
	assert.Equal(t, []string{"pulumiLabels"}, resp.GetDiffs())
	assert.Equal(t, map[string]any{"client": "acme", "team": "other"}, other.update(service, serviceInputs()).state["effectiveLabels"])
}

func TestAPropertyThatNobodyGives(t *testing.T) {
	cloud := newFakeCloud(t)
	config := cloud.config()
	delete(config, "project")
	e := connect(t, serve(t))
	_, err := e.rpc.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: toStruct(t, config)})
	require.NoError(t, err)
	_, failures := e.check(enableToken, map[string]any{"service": "run.googleapis.com"})
	require.Len(t, failures, 1)
	assert.Equal(t, "project", failures[0].GetProperty())
	assert.Contains(t, failures[0].GetReason(), "gcp:project")
}

func TestATypeThatIsNotThereIsNamed(t *testing.T) {
	e := attach(t, newFakeCloud(t))
	_, err := e.rpc.Check(t.Context(), &pulumirpc.CheckRequest{Urn: urnOf("gcp:pubsub/topic:Topic"), News: toStruct(t, map[string]any{})})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	assert.ErrorContains(t, err, "gcp:pubsub/topic:Topic")
	assert.ErrorContains(t, err, serviceToken)
}
