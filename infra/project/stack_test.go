package project

import (
	"maps"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/infra/graphtest"
	"github.com/berth-mcp/berth/infra/policy"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type settings = map[string]any

var everything = settings{
	"berth:apis":             []string{"run.googleapis.com", "sqladmin.googleapis.com"},
	"berth:sharedRepository": settings{"name": "servers", "keep": 3},
	"berth:imageReaders":     []string{"globex-prod", "987654321098"},
	"berth:encryptionKeys": []settings{{
		"key":    "projects/keys/locations/europe-west1/keyRings/berth/cryptoKeys/clients",
		"agents": []string{"run", "storage"},
	}},
	"berth:auditLogs": []settings{
		{"service": "secretmanager.googleapis.com", "types": []string{"DATA_READ", "DATA_WRITE"}},
		{"service": "storage.googleapis.com", "types": []string{"DATA_READ"}},
	},
	"berth:logBucket": settings{"enabled": true, "retentionDays": 365},
	"berth:sharedChannels": settings{
		"operators": settings{"email": "operators@example.com"},
		"pager":     settings{"topic": "projects/acme-prod/topics/pager"},
	},
	"berth:budget": settings{"amount": 50, "currency": "EUR", "billingAccount": "012345-6789AB-CDEF01"},
}

const (
	runAgent     = "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"
	storageAgent = "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
)

var nothing = settings{
	"berth:apis":             []string{},
	"berth:sharedRepository": settings{"enabled": false},
	"berth:auditLogs":        []settings{},
}

// run runs the stack with the least that it needs, and the changes.
func run(t *testing.T, changes settings) (graphtest.Graph, error) {
	t.Helper()
	all := settings{"berth:kind": "project", "gcp:project": "acme-prod", "gcp:region": "europe-west1"}
	for key, value := range changes {
		all[key] = value
	}
	return graphtest.Run(t, Stack, all, graphtest.Cloud{Call: map[string]resource.PropertyMap{
		"gcp:organizations/getProject:getProject":                       {"number": resource.NewProperty("123456789012")},
		"gcp:storage/getProjectServiceAccount:getProjectServiceAccount": {"member": resource.NewProperty(storageAgent)},
	}, Computed: func(args pulumi.MockResourceArgs) resource.PropertyMap {
		if args.TypeToken == "gcp:projects/serviceIdentity:ServiceIdentity" {
			return resource.PropertyMap{"member": resource.NewProperty(runAgent)}
		}
		return nil
	}})
}

func TestWhatAProjectStackDeclares(t *testing.T) {
	for name, changes := range map[string]settings{"minimal": nil, "everything": everything, "nothing": nothing} {
		t.Run(name, func(t *testing.T) {
			graph, err := run(t, changes)
			require.NoError(t, err)
			graph.Golden(t, name)
		})
	}
}

func TestProjectTypes_AreExactlyThoseThatAreDeclared(t *testing.T) {
	graph, err := run(t, everything)
	require.NoError(t, err)
	declared := map[string]bool{}
	for _, r := range graph {
		declared[r.Type] = true
	}
	for _, token := range policy.Project.Types {
		assert.True(t, declared[token], "%s is on the allow list, but the stack does not declare it; remove it", token)
		delete(declared, token)
	}
	assert.Empty(t, declared, "declared, but not on the allow list")
}

func TestWhatAProjectStackDeclares_KeepsThePolicies(t *testing.T) {
	for name, changes := range map[string]settings{"minimal": nil, "everything": everything, "nothing": nothing} {
		declared, err := run(t, changes)
		require.NoError(t, err)
		var graph []policy.Resource
		for _, r := range declared {
			graph = append(graph, policy.Resource{Type: r.Type, Name: r.Name, Inputs: resource.NewPropertyMapFromMap(r.Inputs)})
		}
		assert.NoError(t, policy.Project.Check(graph), name)
	}
}

// The policies of projects are others' too: an authoritative resource would wipe
// what they granted.
func TestNoGrantTakesAnothersAway(t *testing.T) {
	graph, err := run(t, everything)
	require.NoError(t, err)
	for _, r := range graph {
		assert.NotRegexp(t, `(?i)iam(Binding|Policy):`, r.Type, r.Name)
		assert.NotEqual(t, "roles/run.invoker", r.Inputs["role"], "nobody is let in to servers here")
	}
}

func TestEnabledAPIsStayWhenTheStackGoes(t *testing.T) {
	graph, err := run(t, everything)
	require.NoError(t, err)
	apis := graph.Of("gcp:projects/service:Service")
	require.NotEmpty(t, apis)
	for _, api := range apis {
		assert.Equal(t, false, api.Inputs["disableOnDestroy"], api.Name)
	}
}

// mistakes are what people write, each a change of a valid configuration.
var mistakes = map[string]struct {
	change settings
	says   []string
}{
	"no project":                       {settings{"gcp:project": ""}, []string{"gcp:project", "pulumi config set"}},
	"no region":                        {settings{"gcp:region": "mars"}, []string{"gcp:region", `"mars"`}},
	"an API without its domain":        {settings{"berth:apis": []string{"run"}}, []string{"berth:apis[0]", "run.googleapis.com"}},
	"a repository name with capitals":  {settings{"berth:sharedRepository": settings{"name": "Berth"}}, []string{"berth:sharedRepository.name", `"Berth"`}},
	"keeping fewer than none":          {settings{"berth:sharedRepository": settings{"keep": -1}}, []string{"berth:sharedRepository.keep"}},
	"deleting at once":                 {settings{"berth:sharedRepository": settings{"deleteAfterDays": 0}}, []string{"berth:sharedRepository.deleteAfterDays", "keep to 0"}},
	"readers of no repository":         {settings{"berth:sharedRepository": settings{"enabled": false}, "berth:imageReaders": []string{"globex-prod"}}, []string{"berth:imageReaders", "sharedRepository.enabled"}},
	"the project as its own reader":    {settings{"gcp:project": "acme-prod", "berth:imageReaders": []string{"acme-prod"}}, []string{"berth:imageReaders[0]", "remove it"}},
	"a reader twice":                   {settings{"berth:imageReaders": []string{"globex-prod", "globex-prod"}}, []string{"berth:imageReaders[1]", "twice"}},
	"a reader that is an account":      {settings{"berth:imageReaders": []string{"a@example.com"}}, []string{"berth:imageReaders[0]", "number"}},
	"a key by its last name":           {settings{"berth:encryptionKeys": []settings{{"key": "clients", "agents": []string{"run"}}}}, []string{"berth:encryptionKeys[0].key", "keyRings"}},
	"a key that nobody uses":           {settings{"berth:encryptionKeys": []settings{{"key": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}}}, []string{"berth:encryptionKeys[0].agents", "secretmanager"}},
	"a misspelt service":               {settings{"berth:encryptionKeys": []settings{{"key": "projects/p/locations/l/keyRings/r/cryptoKeys/k", "agents": []string{"storrage"}}}}, []string{"agents[0]", "did you mean storage"}},
	"a misspelt field":                 {settings{"berth:encryptionKeys": []settings{{"kye": "x"}}}, []string{"berth:encryptionKeys[0].kye", "did you mean key"}},
	"a type of access that is none":    {settings{"berth:auditLogs": []settings{{"service": "run.googleapis.com", "types": []string{"READ"}}}}, []string{"berth:auditLogs[0].types[0]", "DATA_READ"}},
	"a service's audit twice":          {settings{"berth:auditLogs": []settings{{"service": "run.googleapis.com", "types": []string{"DATA_READ"}}, {"service": "run.googleapis.com", "types": []string{"DATA_WRITE"}}}}, []string{"berth:auditLogs[1].service", "twice"}},
	"logs kept for ever":               {settings{"berth:logBucket": settings{"enabled": true, "retentionDays": 3651}}, []string{"berth:logBucket.retentionDays", "3650"}},
	"a log bucket for everything":      {settings{"berth:logBucket": settings{"enabled": true, "filter": " "}}, []string{"berth:logBucket.filter"}},
	"a log bucket of Google's own":     {settings{"berth:logBucket": settings{"name": "_Default"}}, []string{"berth:logBucket.name", `"_Default"`}},
	"a channel to nowhere":             {settings{"berth:sharedChannels": settings{"ops": settings{}}}, []string{"berth:sharedChannels.ops", "email"}},
	"a channel to both":                {settings{"berth:sharedChannels": settings{"ops": settings{"email": "a@example.com", "topic": "projects/p/topics/ttt"}}}, []string{"berth:sharedChannels.ops", "either"}},
	"a channel with a name for people": {settings{"berth:sharedChannels": settings{"On call": settings{"email": "a@example.com"}}}, []string{`"On call"`}},
	"mail to no address":               {settings{"berth:sharedChannels": settings{"ops": settings{"email": "ops"}}}, []string{"berth:sharedChannels.ops.email", `"ops"`}},
	"a topic by its last name":         {settings{"berth:sharedChannels": settings{"ops": settings{"topic": "pager"}}}, []string{"berth:sharedChannels.ops.topic", "projects/"}},
	"a budget that nobody pays":        {settings{"berth:budget": settings{"amount": 10}}, []string{"berth:budget.billingAccount", "gcloud billing projects describe acme-prod"}},
	"a budget of less than nothing":    {settings{"berth:budget": settings{"amount": -1}}, []string{"berth:budget.amount"}},
	"a budget in coins":                {settings{"berth:budget": settings{"amount": 1.5}}, []string{"berth:budget.amount", "whole number"}},
	"a currency's sign":                {settings{"berth:budget": settings{"amount": 10, "billingAccount": "012345-6789AB-CDEF01", "currency": "€"}}, []string{"berth:budget.currency", "EUR"}},
	"a budget that warns of nothing":   {settings{"berth:budget": settings{"amount": 10, "billingAccount": "012345-6789AB-CDEF01", "thresholds": []int{}}}, []string{"berth:budget.thresholds"}},
	"a threshold as a part of one":     {settings{"berth:budget": settings{"amount": 10, "billingAccount": "012345-6789AB-CDEF01", "thresholds": []float64{0.5}}}, []string{"berth:budget.thresholds[0]", "whole number"}},
}

func TestABadConfigurationIsRefusedBeforeAnyResource(t *testing.T) {
	for name, test := range mistakes {
		t.Run(name, func(t *testing.T) {
			graph, err := run(t, test.change)
			require.Error(t, err)
			for _, words := range test.says {
				assert.ErrorContains(t, err, words)
			}
			assert.Equal(t, 1, strings.Count(err.Error(), "\n  "), "one problem: %v", err)
			assert.Empty(t, graph, "nothing is declared from a configuration that is wrong")
		})
	}
}

func TestMoreMailThanABudgetSendsIsRefused(t *testing.T) {
	channels := settings{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		channels[name] = settings{"email": name + "@example.com"}
	}
	_, err := run(t, settings{"berth:sharedChannels": channels})
	require.NoError(t, err, "alerts take any number")
	_, err = run(t, settings{"berth:sharedChannels": channels, "berth:budget": settings{"amount": 10, "billingAccount": "012345-6789AB-CDEF01"}})
	require.ErrorContains(t, err, "berth:sharedChannels")
}

func TestEveryProblemIsReportedWhateverElseIsWrong(t *testing.T) {
	for one, first := range mistakes {
		for other, second := range mistakes {
			changes := maps.Clone(first.change)
			maps.Copy(changes, second.change)
			if len(changes) < len(first.change)+len(second.change) {
				continue // both are about the same setting
			}
			_, err := run(t, changes)
			require.Error(t, err)
			assert.ErrorContains(t, err, first.says[0], "%s, then %s", one, other)
			assert.ErrorContains(t, err, second.says[0], "%s, then %s", one, other)
		}
	}
}
