package client

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/berth-mcp/berth/infra/image"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const prebuilt = "example.com/team/server@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// settings is a stack's configuration file as the program gets it: lists as JSON.
type settings map[string]any

// valid is the least that a stack needs, with an image so that nothing is built.
func valid(changes settings) settings {
	all := settings{
		"gcp:project":      "acme-prod",
		"gcp:region":       "europe-west1",
		"berth:developers": []string{"group:acme-developers@example.com"},
		"berth:image":      prebuilt,
	}
	for key, value := range changes {
		all[key] = value
	}
	return all
}

// recorder is the engine of a test: it notes every resource and answers with
// what Google would have computed.
type recorder struct {
	mu        sync.Mutex
	resources []pulumi.MockResourceArgs
}

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resources = append(r.resources, args)
	state := args.Inputs.Copy()
	switch args.TypeToken {
	case "gcp:serviceaccount/account:Account":
		state["email"] = resource.NewProperty(args.Inputs["accountId"].StringValue() + "@acme-prod.iam.gserviceaccount.com")
	case "gcp:cloudrunv2/service:Service":
		state["uri"] = resource.NewProperty("https://berth-acme-abc-ew.a.run.app")
	}
	return args.Name + "-id", state, nil
}

func (r *recorder) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, fmt.Errorf("the stack calls %s, which no test expects", args.Token)
}

// one gives the only resource of a type.
func (r *recorder) one(t *testing.T, token string) pulumi.MockResourceArgs {
	t.Helper()
	var found []pulumi.MockResourceArgs
	for _, res := range r.resources {
		if res.TypeToken == token {
			found = append(found, res)
		}
	}
	require.Len(t, found, 1, "resources of type %s", token)
	return found[0]
}

// run runs the stack "acme" with the settings, under mocks.
func run(t *testing.T, s settings, secret ...string) (*recorder, error) {
	t.Helper()
	r := &recorder{}
	return r, program(t, Stack, s, r, secret...)
}

// loaded gives what the stack "acme" reads from the settings.
func loaded(t *testing.T, s settings, secret ...string) (args *ServerArgs, err error) {
	t.Helper()
	err = program(t, func(ctx *pulumi.Context) (err error) {
		args, err = Load(ctx)
		return err
	}, s, &recorder{}, secret...)
	return args, err
}

// program runs a program as "pulumi up" does: the settings are in the environment.
func program(t *testing.T, body pulumi.RunFunc, s settings, r *recorder, secret ...string) error {
	t.Helper()
	flat := map[string]string{}
	for key, value := range s {
		if text, ok := value.(string); ok {
			flat[key] = text
			continue
		}
		flat[key] = encoded(t, value)
	}
	t.Setenv(pulumi.EnvConfig, encoded(t, flat))
	t.Setenv(pulumi.EnvConfigSecretKeys, encoded(t, secret))
	return pulumi.RunErr(body, pulumi.WithMocks("berth", "acme", r))
}

func encoded(t *testing.T, value any) string {
	t.Helper()
	content, err := json.Marshal(value)
	require.NoError(t, err)
	return string(content)
}

func plain(p resource.PropertyMap) map[string]any { return p.Mappable() }

func TestExactlyTheConfiguredDevelopersMayInvoke(t *testing.T) {
	r, err := run(t, valid(settings{"berth:developers": []string{
		"user:Bo@Example.com", "group:acme-developers@example.com", "group:ACME-developers@example.com",
	}}))
	require.NoError(t, err)

	binding := plain(r.one(t, "gcp:cloudrunv2/serviceIamBinding:ServiceIamBinding").Inputs)
	assert.Equal(t, "roles/run.invoker", binding["role"])
	assert.Equal(t, []any{"group:acme-developers@example.com", "user:bo@example.com"}, binding["members"],
		"the same people, written once and as IAM writes them")
	assert.Equal(t, "berth-acme", binding["name"], "the grant is on this service")
}

func TestAccessIsGrantedOnTheServiceAndNowhereElse(t *testing.T) {
	r, err := run(t, valid(nil))
	require.NoError(t, err)

	for _, res := range r.resources {
		if strings.Contains(strings.ToLower(res.TypeToken), "iam") {
			assert.Equal(t, "gcp:cloudrunv2/serviceIamBinding:ServiceIamBinding", res.TypeToken)
		}
	}
}

func TestTheServiceIsPrivateByDigestAndUnderItsOwnAccount(t *testing.T) {
	r, err := run(t, valid(nil))
	require.NoError(t, err)

	service := plain(r.one(t, "gcp:cloudrunv2/service:Service").Inputs)
	assert.Equal(t, false, service["invokerIamDisabled"], "the platform checks every caller")
	assert.Equal(t, "berth-acme", service["name"])

	template := service["template"].(map[string]any)
	assert.Equal(t, "berth-acme@acme-prod.iam.gserviceaccount.com", template["serviceAccount"])
	container := template["containers"].([]any)[0].(map[string]any)
	assert.Equal(t, prebuilt, container["image"])

	var names []string
	for _, e := range container["envs"].([]any) {
		names = append(names, e.(map[string]any)["name"].(string))
	}
	assert.IsIncreasing(t, names, "another order of variables would be a change in every preview")
}

func TestAPrebuiltImageNeedsNoRepository(t *testing.T) {
	r, err := run(t, valid(nil))
	require.NoError(t, err)

	for _, res := range r.resources {
		assert.NotContains(t, res.TypeToken, "artifactregistry")
	}
}

func TestEnabledAPIsStayWhenTheStackGoes(t *testing.T) {
	r, err := run(t, valid(nil))
	require.NoError(t, err)

	for _, res := range r.resources {
		if res.TypeToken == "gcp:projects/service:Service" {
			assert.Equal(t, false, plain(res.Inputs)["disableOnDestroy"], res.Name)
		}
	}
}

func TestBadConfigurationIsRefusedBeforeAnyResource(t *testing.T) {
	tests := map[string]struct {
		change settings
		says   []string
	}{
		"allUsers":                         {settings{"berth:developers": []string{"allUsers"}}, []string{"berth:developers", "internet"}},
		"allAuthenticatedUsers":            {settings{"berth:developers": []string{"allAuthenticatedUsers"}}, []string{"berth:developers", "internet"}},
		"an e-mail without its kind":       {settings{"berth:developers": []string{"bo@example.com"}}, []string{"group:bo@example.com"}},
		"an unknown kind":                  {settings{"berth:developers": []string{"team:x@example.com"}}, []string{`"team:x@example.com"`, "serviceAccount:"}},
		"a deleted principal":              {settings{"berth:developers": []string{"deleted:user:a@example.com?uid=1"}}, []string{"deleted"}},
		"a member with the Kelvin sign":    {settings{"berth:developers": []string{"group:\u212Aiosk@example.com"}}, []string{"berth:developers", "has no valid address"}},
		"a domain with the Kelvin sign":    {settings{"berth:developers": []string{"domain:\u212Aiosk.example"}}, []string{"berth:developers", "has no valid address"}},
		"a kind with a long s":             {settings{"berth:developers": []string{"u\u017Fer:ada@example.com"}}, []string{"berth:developers", "of no known kind"}},
		"a group with the Kelvin sign":     {settings{"berth:group": settings{"email": "\u212Aiosk@example.com", "customer": "C01abc234"}}, []string{"berth:group.email", "not a group's address"}},
		"a group member with that sign":    {settings{"berth:group": settings{"email": "kiosk@example.com", "customer": "C01abc234", "members": []string{"\u212Aim@example.com"}}}, []string{"berth:group.members", "not an address"}},
		"a group with no domain":           {settings{"berth:developers": []string{"group:acme"}}, []string{`"group:acme"`}},
		"nobody":                           {settings{"berth:developers": []string{}}, []string{"berth:developers", "nobody"}},
		"developers that are not a list":   {settings{"berth:developers": "group:a@example.com"}, []string{"berth:developers", "list"}},
		"an image by tag":                  {settings{"berth:image": "example.com/team/server:v1"}, []string{"berth:image", "digest"}},
		"an image without a digest":        {settings{"berth:image": "example.com/team/server"}, []string{"berth:image", "digest"}},
		"an image with half a digest":      {settings{"berth:image": "example.com/team/server@sha256:abc"}, []string{"berth:image", "64 hex"}},
		"a client name with capitals":      {settings{"berth:client": "Acme"}, []string{"berth:client", `"Acme"`}},
		"a client name that is too long":   {settings{"berth:client": strings.Repeat("a", 25)}, []string{"24 characters"}},
		"a client name ending in a hyphen": {settings{"berth:client": "acme-"}, []string{"berth:client"}},
		"no project":                       {settings{"gcp:project": ""}, []string{"gcp:project", "pulumi config set"}},
		"no region":                        {settings{"gcp:region": ""}, []string{"gcp:region", "pulumi config set"}},
		"too many instances":               {settings{"berth:maxInstances": 101}, []string{"berth:maxInstances", `"101"`}},
		"more warm instances than allowed": {settings{"berth:minInstances": 4}, []string{"berth:minInstances", "3"}},
		"a timeout over an hour":           {settings{"berth:requestTimeout": 3601}, []string{"berth:requestTimeout", "3600"}},
		"a number that is none":            {settings{"berth:concurrency": "many"}, []string{"berth:concurrency", `"many"`, "whole number"}},
		"no concurrency":                   {settings{"berth:concurrency": 0}, []string{"berth:concurrency"}},
		"memory without a unit":            {settings{"berth:memory": "512"}, []string{"berth:memory", "512Mi"}},
		"a CPU that is none":               {settings{"berth:cpu": "one"}, []string{"berth:cpu", `"one"`}},
		"more CPU than there is":           {settings{"berth:cpu": "100"}, []string{"berth:cpu", `"100"`}},
		"no CPU":                           {settings{"berth:cpu": "0"}, []string{"berth:cpu"}},
		"half a CPU for many at once":      {settings{"berth:cpu": "500m"}, []string{"berth:concurrency", "must be 1"}},
		"half a CPU with much memory":      {settings{"berth:cpu": "0.5", "berth:memory": "1Gi", "berth:concurrency": 1}, []string{"berth:memory", "512Mi"}},
		"too little memory":                {settings{"berth:memory": "64Mi"}, []string{"berth:memory", "128Mi"}},
		"too little memory for four CPUs":  {settings{"berth:cpu": "4", "berth:memory": "1Gi"}, []string{"berth:memory", "2048Mi"}},
		"too little CPU for much memory":   {settings{"berth:memory": "17Gi"}, []string{"berth:cpu", "needs 6"}},
		"little memory in gen2":            {settings{"berth:memory": "256Mi", "berth:executionEnvironment": "gen2"}, []string{"berth:memory", "512Mi"}},
		"a small sidecar always awake":     {settings{"berth:cpuIdle": false, "berth:sidecars": settings{"agent": settings{"image": agent, "memory": "128Mi"}}}, []string{"berth:sidecars.agent.memory", "512Mi"}},
		"two files in one directory":       {settings{"berth:secrets": settings{"A": settings{"secret": "a", "version": "1", "file": "/s/a"}, "B": settings{"secret": "b", "version": "1", "file": "/s/b"}}}, []string{"berth:secrets.B.file", "/s/a"}},
		"a secret in a system directory":   {settings{"berth:secrets": settings{"A": settings{"secret": "a", "version": "1", "file": "/proc/a"}}}, []string{"berth:secrets.A.file", "/proc"}},
		"two files whose names are alike":  {settings{"berth:secrets": settings{"KEY": settings{"secret": "a", "version": "1", "file": "/a/a"}, "key": settings{"secret": "b", "version": "1", "file": "/b/b"}}}, []string{"berth:secrets.key", "differs from KEY"}},
		"a file that can have no volume":   {settings{"berth:secrets": settings{"KEY_": settings{"secret": "a", "version": "1", "file": "/a/a"}}}, []string{"berth:secrets.KEY_", "underscore"}},
		"a probe's path and no type":       {settings{"berth:livenessProbe": settings{"path": "/live"}}, []string{"berth:livenessProbe.type", "http, grpc or tcp"}},
		"a sidecar's port and no type":     {settings{"berth:sidecars": settings{"agent": settings{"image": agent, "startupProbe": settings{"port": 9090}}}}, []string{"berth:sidecars.agent.startupProbe.type"}},
		"a subnetwork elsewhere":           {settings{"berth:network": settings{"subnetwork": "projects/p/regions/us-east1/subnetworks/s"}}, []string{"berth:network.subnetwork", "europe-west1"}},
		"a variable that is a secret":      {settings{"berth:environment": settings{"DB_PASSWORD": "hunter2"}}, []string{"berth:environment.DB_PASSWORD", "berth:secrets.DB_PASSWORD.value"}},
		"a sidecar named as the server":    {settings{"berth:sidecars": settings{"server": settings{"image": agent}}}, []string{"berth:sidecars.server", "the server's own"}},
		"a sidecar that is first unasked":  {settings{"berth:sidecars": settings{"agent": settings{"image": agent, "first": true}}}, []string{"berth:sidecars.agent.first", "startup probe"}},
		"a sidecar's unknown secret":       {settings{"berth:sidecars": settings{"agent": settings{"image": agent, "secrets": []string{"DB"}}}}, []string{"berth:sidecars.agent.secrets[0]", `"DB"`}},
		"more CPU in all than there is":    {settings{"berth:cpu": "8", "berth:memory": "8Gi", "berth:sidecars": settings{"agent": settings{"image": agent}}}, []string{"9000m", "8 at the most"}},
		"a key elsewhere":                  {settings{"berth:kmsKey": "projects/p/locations/us-east1/keyRings/r/cryptoKeys/k"}, []string{"berth:kmsKey", "europe-west1"}},
		"a group without its customer":     {settings{"berth:group": settings{"email": "acme@example.com"}}, []string{"berth:group.customer", "gcloud organizations list"}},
		"a repository by half a name":      {settings{"berth:image": "", "berth:repository": "servers"}, []string{"berth:repository", "projects/my-project"}},
		"retention and versions at once":   {settings{"berth:data": settings{"enabled": true, "retentionDays": 1}}, []string{"berth:data.retentionDays", "data.versioning"}},
		"a base by tag":                    {settings{"berth:image": "", "berth:base": "alpine:3"}, []string{"berth:base", "digest"}},
		"a client called like a path":      {settings{"berth:client": "mcp"}, []string{"berth:client", "berth-proxy"}},
		"a platform without architecture":  {settings{"berth:image": "", "berth:platforms": []string{"linux"}}, []string{"berth:platforms", `"linux"`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := run(t, valid(test.change))
			require.Error(t, err)
			for _, words := range test.says {
				assert.ErrorContains(t, err, words)
			}
			assert.Empty(t, r.resources, "nothing is declared from a configuration that is wrong")
		})
	}
}

func TestAllProblemsAreReportedTogether(t *testing.T) {
	_, err := run(t, settings{
		"gcp:project":        "X",
		"berth:developers":   []string{"allUsers", "bo@example.com"},
		"berth:image":        "example.com/server:latest",
		"berth:memory":       "lots",
		"berth:minInstances": "-1",
	})
	require.Error(t, err)
	for _, key := range []string{"gcp:project", "gcp:region", `"allUsers"`, "bo@example.com", "berth:image", "berth:memory", "berth:minInstances"} {
		assert.ErrorContains(t, err, key)
	}
}

func TestThePreviewKnowsTheDigestThatWillBeDeployed(t *testing.T) {
	source := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/tiny\n\ngo 1.24\n",
		"main.go": "package main\n\nfunc main() {}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(source, name), []byte(content), 0o644))
	}
	built, err := image.Build(t.Context(), image.Source{Dir: source, Package: ".", Platforms: []string{"linux/amd64"}}, authn.NewMultiKeychain())
	require.NoError(t, err)

	r := &recorder{}
	err = pulumi.RunErr(Stack, pulumi.WithMocks("berth", "acme", r), func(info *pulumi.RunInfo) {
		info.DryRun = true
		info.Config = map[string]string{
			"gcp:project":        "acme-prod",
			"gcp:region":         "europe-west1",
			"berth:developers":   `["group:acme-developers@example.com"]`,
			"berth:build":        source,
			"berth:registryHost": "127.0.0.1:1", // a preview that pushed would fail here
		}
	})
	require.NoError(t, err)

	template := plain(r.one(t, "gcp:cloudrunv2/service:Service").Inputs)["template"].(map[string]any)
	container := template["containers"].([]any)[0].(map[string]any)
	assert.Equal(t, "127.0.0.1:1/acme-prod/berth-acme/server@"+built.Digest, container["image"])
	assert.Equal(t, "DOCKER", plain(r.one(t, "gcp:artifactregistry/repository:Repository").Inputs)["format"])
}

func TestASourceThatDoesNotCompileDeclaresNothing(t *testing.T) {
	r, err := run(t, valid(settings{"berth:image": "", "berth:build": t.TempDir()}))
	require.ErrorContains(t, err, "berth:build")
	assert.Empty(t, r.resources)
}

func TestSizesThatCloudRunTakesAreTaken(t *testing.T) {
	for _, size := range []settings{
		{"berth:cpu": "0.08", "berth:memory": "128Mi", "berth:concurrency": 1},
		{"berth:cpu": "999m", "berth:concurrency": 1},
		{"berth:cpu": "1.0"},
		{"berth:cpu": "8000m", "berth:memory": "32Gi"},
		{"berth:cpu": "2", "berth:memory": "8Gi"},
	} {
		_, err := run(t, valid(size))
		assert.NoError(t, err, "%v", size)
	}
}

func TestEveryClientNameThatTheProxyRefusesIsRefused(t *testing.T) {
	for _, name := range pathNames {
		_, err := relay.ParseTargets([]string{name + "=https://acme.example"})
		assert.Error(t, err, "%s: the proxy takes it, so it may be a client's name", name)
	}
	_, err := relay.ParseTargets([]string{"acme=https://acme.example"})
	assert.NoError(t, err)
}

func TestTheImageIsPushedByWhoDeploys(t *testing.T) {
	identity := func(config map[string]string) (id image.Identity) {
		config["gcp:project"], config["gcp:region"] = "acme-prod", "europe-west1"
		config["berth:developers"] = `["group:a@example.com"]`
		err := pulumi.RunErr(func(ctx *pulumi.Context) error {
			c, err := Load(ctx)
			id = c.Pusher
			return err
		}, pulumi.WithMocks("berth", "acme", &recorder{}), func(info *pulumi.RunInfo) { info.Config = config })
		require.NoError(t, err)
		return id
	}
	t.Setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "")
	t.Setenv("GOOGLE_CREDENTIALS", "")
	t.Setenv("GOOGLE_IMPERSONATE_SERVICE_ACCOUNT", "")
	assert.Equal(t, image.Identity{}, identity(map[string]string{}), "the login at hand")

	t.Setenv("GOOGLE_CREDENTIALS", "/ci/key.json")
	t.Setenv("GOOGLE_IMPERSONATE_SERVICE_ACCOUNT", "deployer@acme-prod.iam.gserviceaccount.com")
	assert.Equal(t, image.Identity{Credentials: "/ci/key.json", Impersonate: "deployer@acme-prod.iam.gserviceaccount.com"}, identity(map[string]string{}))
	assert.Equal(t, "token", identity(map[string]string{"gcp:accessToken": "token"}).AccessToken, "the stack wins")
}
