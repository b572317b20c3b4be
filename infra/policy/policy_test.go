package policy

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const image = "example.com/server@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

type inputs = map[string]any

// good is a graph that keeps every policy.
func good() map[string]Resource {
	owned := inputs{"client": "acme", "managed-by": "berth"}
	graph := map[string]Resource{}
	for name, r := range map[string]struct {
		kind   string
		inputs inputs
	}{
		"account": {account, inputs{"accountId": "berth-acme", "project": "acme-prod"}},
		"service": {service, inputs{
			"project": "acme-prod", "location": "europe-west1", "name": "berth-acme", "invokerIamDisabled": false, "labels": owned,
			"template": inputs{
				"serviceAccount": "berth-acme@acme-prod.iam.gserviceaccount.com",
				"containers":     []any{inputs{"image": image, "envs": []any{inputs{"name": "LOG_LEVEL", "value": "info"}}}},
			},
		}},
		"developers": {"gcp:cloudrunv2/serviceIamBinding:ServiceIamBinding", inputs{
			"project": "acme-prod", "location": "europe-west1", "name": "berth-acme",
			"role": "roles/run.invoker", "members": []any{"group:a@example.com"},
		}},
		"api":    {api, inputs{"disableOnDestroy": false}},
		"bucket": {bucket, inputs{"name": "acme", "labels": owned, "uniformBucketLevelAccess": true, "publicAccessPrevention": "enforced"}},
		"policy": {"gcp:storage/bucketIAMPolicy:BucketIAMPolicy", inputs{"bucket": "acme", "policyData": `{"bindings":[]}`}},
		"secret": {"gcp:secretmanager/secret:Secret", inputs{"project": "acme-prod", "secretId": "berth-acme-key", "labels": owned}},
		"reader": {"gcp:secretmanager/secretIamBinding:SecretIamBinding", inputs{"project": "acme-prod", "secretId": "berth-acme-key", "role": "roles/secretmanager.secretAccessor", "members": []any{"serviceAccount:a@example.com"}}},
	} {
		graph[name] = Resource{Type: r.kind, Name: name, Inputs: resource.NewPropertyMapFromMap(r.inputs)}
	}
	graph["version"] = Resource{Type: secretVersion, Name: "version",
		Inputs: resource.PropertyMap{"secretData": resource.MakeSecret(resource.NewProperty("hunter2"))}}
	return graph
}

func list(graph map[string]Resource) []Resource {
	var all []Resource
	for _, r := range graph {
		all = append(all, r)
	}
	return all
}

// set changes an input of a resource, by its path.
func set(graph map[string]Resource, name, path string, value any) {
	r := graph[name]
	property, err := resource.ParsePropertyPath(path)
	if err != nil {
		panic(err)
	}
	changed := resource.NewProperty(r.Inputs)
	if value == nil {
		property.Delete(changed)
	} else if !property.Set(changed, resource.NewPropertyValue(value)) {
		panic("no such path: " + path)
	}
}

func TestAServerThatKeepsEveryPolicyPasses(t *testing.T) {
	require.NoError(t, Check(list(good())))
}

func TestEveryBreachIsReportedWithItsResourceAndThePolicy(t *testing.T) {
	tests := map[string]struct {
		name, path string
		value      any
		says       []string
	}{
		"the whole world among the members":      {"developers", "members[0]", "allUsers", []string{"developers", "lets in allusers"}},
		"everybody with an account":              {"developers", "members[0]", "allAuthenticatedUsers", []string{"lets in allauthenticatedusers"}},
		"the whole world in a bucket's policy":   {"policy", "policyData", `{"bindings":[{"members":["allUsers"]}]}`, []string{"policy", "lets in allusers"}},
		"the whole world in escaped letters":     {"policy", "policyData", `{"bindings":[{"members":["\u0061llUsers"]}]}`, []string{"policy", `lets in "allUsers"`}},
		"everybody in escaped letters":           {"policy", "policyData", `{"bindings":[{"members":["allAuthenticatedUser\u0073"]}]}`, []string{`lets in "allAuthenticatedUsers"`}},
		"whoever may view the project":           {"developers", "members[0]", "projectViewer:acme-prod", []string{`lets in "projectViewer:acme-prod"`}},
		"a role that holds more":                 {"developers", "role", "roles/run.admin", []string{`the role "roles/run.admin"`}},
		"a role of one's own":                    {"developers", "role", "projects/p/roles/invoke", []string{`the role "projects/p/roles/invoke"`}},
		"a role at times":                        {"developers", "condition", inputs{"expression": "true"}, []string{"under a condition"}},
		"another client's service":               {"developers", "name", "berth-globex", []string{`is on "acme-prod/europe-west1/berth-globex"`, "the server's own"}},
		"another client's secret":                {"reader", "secretId", "berth-globex-key", []string{`is on "acme-prod/berth-globex-key"`}},
		"another client's bucket":                {"policy", "bucket", "globex", []string{`is on "globex"`}},
		"a service in another project":           {"developers", "project", "globex-prod", []string{`is on "globex-prod/`}},
		"a bucket's policy that is none":         {"policy", "policyData", "allow", []string{"not an IAM policy"}},
		"editors in a bucket's policy":           {"policy", "policyData", `{"bindings":[{"members":["projectEditor:p"]}]}`, []string{`lets in "projectEditor:p"`}},
		"the whole world in anything else":       {"service", "template.containers[0].envs[0].value", "allUsers", []string{"service", "lets in allusers"}},
		"a service that checks nobody":           {"service", "invokerIamDisabled", true, []string{"service", "invokerIamDisabled"}},
		"a service that does not say":            {"service", "invokerIamDisabled", nil, []string{"invokerIamDisabled is not false"}},
		"a tag":                                  {"service", "template.containers[0].image", "example.com/server:v1", []string{`"example.com/server:v1"`, "by digest"}},
		"a digest that is cut":                   {"service", "template.containers[0].image", image[:len(image)-1], []string{"by digest"}},
		"the project's default account":          {"service", "template.serviceAccount", "123-compute@developer.gserviceaccount.com", []string{"123-compute", "account that is its own"}},
		"an account of that name elsewhere":      {"service", "template.serviceAccount", "berth-acme@other.iam.gserviceaccount.com", []string{"account that is its own"}},
		"no account":                             {"service", "template.serviceAccount", nil, []string{"account that is its own"}},
		"a service without its client":           {"service", "labels.client", nil, []string{`"client"`}},
		"a secret without a manager":             {"secret", `labels["managed-by"]`, nil, []string{`"managed-by"`}},
		"a password in a variable":               {"service", "template.containers[0].envs[0]", inputs{"name": "DB_PASSWORD", "value": "hunter2"}, []string{"DB_PASSWORD", "Secret Manager"}},
		"a secret that the state does not hide":  {"version", "secretData", "hunter2", []string{"version", "in the clear"}},
		"a bucket with access lists":             {"bucket", "uniformBucketLevelAccess", false, []string{"uniformBucketLevelAccess"}},
		"a bucket that may be made public":       {"bucket", "publicAccessPrevention", "inherited", []string{"publicAccessPrevention"}},
		"a bucket with the policy of another":    {"policy", "bucket", "globex", []string{"no policy of its own"}},
		"an API that goes with the stack":        {"api", "disableOnDestroy", true, []string{"api", "disableOnDestroy"}},
		"an API that would go if nobody says so": {"api", "disableOnDestroy", nil, []string{"disableOnDestroy"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			graph := good()
			set(graph, test.name, test.path, test.value)
			err := Check(list(graph))
			require.ErrorContains(t, err, "nothing was changed")
			for _, words := range test.says {
				assert.ErrorContains(t, err, words)
			}
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestAGrantBeyondTheClientsOwnIsABreach(t *testing.T) {
	for _, kind := range []string{
		"gcp:projects/iAMMember:IAMMember", "gcp:projects/iAMBinding:IAMBinding", "gcp:projects/iAMPolicy:IAMPolicy",
		"gcp:folder/iAMMember:IAMMember", "gcp:organizations/iAMMember:IAMMember", "gcp:serviceaccount/iAMMember:IAMMember",
		"gcp:cloudrunv2/serviceIamPolicy:ServiceIamPolicy", "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember",
	} {
		graph := good()
		graph["grant"] = Resource{Type: kind, Name: "grant", Inputs: resource.PropertyMap{"role": resource.NewProperty("roles/run.invoker")}}
		assert.ErrorContains(t, Check(list(graph)), "nothing beyond what is its own", kind)
	}
}

func TestCheck_RefusesTypesThatAreNotOnTheAllowList(t *testing.T) {
	for _, kind := range []string{
		"gcp:storage/bucketACL:BucketACL", "gcp:storage/bucketAccessControl:BucketAccessControl",
		"gcp:storage/defaultObjectAccessControl:DefaultObjectAccessControl", "gcp:storage/bucketIAMMember:BucketIAMMember",
		"gcp:serviceaccount/key:Key", "gcp:bigquery/datasetAccess:DatasetAccess", "gcp:compute/forwardingRule:ForwardingRule",
		"gcp:cloudrun/iamPolicy:IamPolicy", "gcp:cloudrun/service:Service", "gcp:cloudrunv2/job:Job", "gcp:cloudrunv2/jobIamMember:JobIamMember",
		"gcp:projects/iAMBinding:IAMBinding", "gcp:projects/iAMCustomRole:IAMCustomRole", "pulumi:providers:gcp",
		"gcp:cloudrunv2/service:service", "gcp:future/door:Door", "",
	} {
		for name, k := range map[string]Kind{"client": Client, "project": Project} {
			extra := Resource{Type: kind, Name: "extra", Inputs: resource.PropertyMap{}}
			for _, err := range []error{k.Check([]Resource{extra}), k.CheckOne(extra, nil, true)} {
				assert.ErrorContains(t, err, "extra ("+kind+")", name)
				assert.ErrorContains(t, err, "allow list", name)
			}
		}
	}
}

func TestCheck_OptionsCannotKeepWhatWasOpenedByHand(t *testing.T) {
	tests := map[string][]string{
		"developers": {"members", "members[0]", "*", "role", "["},
		"policy":     {"policyData"},
		"service":    {"invokerIamDisabled", `["invokerIamDisabled"]`, "*"},
		"bucket":     {"publicAccessPrevention", "uniformBucketLevelAccess"},
	}
	for name, paths := range tests {
		for _, path := range paths {
			graph := good()
			r := graph[name]
			r.IgnoreChanges = []string{"client", path}
			if name != "service" && name != "bucket" {
				r.IgnoreChanges = []string{path}
			}
			graph[name] = r
			require.ErrorContains(t, Check(list(graph)), "ignores changes of", "%s %s", name, path)
		}
	}
	graph := good()
	r := graph["service"]
	r.IgnoreChanges = []string{"client", "clientVersion", "template.containers[0].image"}
	graph["service"] = r
	assert.NoError(t, Check(list(graph)))
}

func TestCheckOne_MustKnowWhomItLetsIn(t *testing.T) {
	developers := good()["developers"]
	developers.Inputs["members"] = resource.NewProperty([]resource.PropertyValue{resource.MakeComputed(resource.NewProperty(""))})
	assert.NoError(t, Client.CheckOne(developers, nil, false), "a preview does not know it yet")
	assert.ErrorContains(t, Client.CheckOne(developers, nil, true), "not known")

	developers.Inputs["members"] = resource.MakeSecret(resource.NewProperty([]resource.PropertyValue{resource.NewProperty("allUsers")}))
	assert.ErrorContains(t, Client.CheckOne(developers, nil, false), "lets in allusers")
	for name, r := range good() {
		assert.NoError(t, Client.CheckOne(r, list(good()), true), name)
	}
}

func TestCheckOne_MustKnowWhatTheServiceRunsAs(t *testing.T) {
	graph := good()
	account := []Resource{graph["account"]}
	assert.NoError(t, Client.CheckOne(graph["service"], account, true))
	assert.ErrorContains(t, Client.CheckOne(graph["service"], nil, true), `runs as "berth-acme@acme-prod.iam.gserviceaccount.com"`)

	set(graph, "service", "template.serviceAccount", "another@acme-prod.iam.gserviceaccount.com")
	assert.ErrorContains(t, Client.CheckOne(graph["service"], account, true), `runs as "another@acme-prod.iam.gserviceaccount.com"`)

	set(graph, "service", "template.serviceAccount", resource.MakeComputed(resource.NewProperty("")))
	assert.NoError(t, Client.CheckOne(graph["service"], account, false), "a preview does not know it yet")
	assert.ErrorContains(t, Client.CheckOne(graph["service"], account, true), "an account that is not known")
}

func TestAccountHost(t *testing.T) {
	assert.Equal(t, "acme-prod.iam.gserviceaccount.com", AccountHost("acme-prod"))
	assert.Equal(t, "acme-prod.example.com.iam.gserviceaccount.com", AccountHost("example.com:acme-prod"))
}

func TestASecretIsNoticedAndWhatOnlySoundsLikeOneIsNot(t *testing.T) {
	for _, v := range [][2]string{
		{"DB_PASSWORD", "x"}, {"token", "x"}, {"STRIPE_API_KEY", "x"}, {"APP_CREDENTIALS", "x"}, {"CLIENT_SECRET", "x"},
		{"KEY", "-----BEGIN RSA PRIVATE KEY-----"}, {"DATABASE", "postgres://bo:hunter2@db/acme"},
		{"GH", "ghp_" + strings.Repeat("a", 36)}, {"G", "AIza" + strings.Repeat("b", 35)},
	} {
		assert.True(t, LooksSecret(v[0], v[1]), "%s", v[0])
	}
	for _, v := range [][2]string{
		{"MAX_TOKENS", "100"}, {"TOKEN_URL", "https://example.com/token"}, {"PASSWORD_MIN_LENGTH", "8"}, {"KEYBOARD", "de"},
		{"DB_PASSWORD", ""}, {"DATABASE", "postgres://db/acme"}, {"SECRET_NAME", "acme"}, {"EMAIL", "mailto:a@example.com"},
	} {
		assert.False(t, LooksSecret(v[0], v[1]), "%s", v[0])
	}
}
