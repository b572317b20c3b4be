package client

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/infra/policy"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func pick(t *rapid.T, label string, values ...any) any {
	return rapid.SampledFrom(values).Draw(t, label)
}

func someOf(t *rapid.T, label string, values ...string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(values), 0, len(values), rapid.ID[string]).Draw(t, label)
}

// anyValid draws a configuration that Google and Berth both take.
func anyValid(t *rapid.T) settings {
	s := valid(settings{
		"berth:client":     rapid.StringMatching(`x[a-z0-9-]{0,20}[a-z0-9]`).Draw(t, "client"),
		"berth:developers": append(someOf(t, "developers", "user:Ada@example.com", "domain:example.com", "serviceAccount:a@p-12345.iam.gserviceaccount.com"), "group:acme@example.com"),
		"berth:viewer":     rapid.Bool().Draw(t, "viewer"),
		"berth:suspend":    rapid.Bool().Draw(t, "suspend"),
		"berth:labels":     rapid.MapOfN(rapid.StringMatching(`owner[a-z_-]{0,9}`), rapid.StringMatching(`[a-z0-9_-]{0,63}`), 0, 4).Draw(t, "labels"),

		"berth:port":                 rapid.IntRange(1, 65535).Draw(t, "port"),
		"berth:args":                 someOf(t, "args", "--http", "--port=$(PORT)"),
		"berth:concurrency":          rapid.IntRange(1, 1000).Draw(t, "concurrency"),
		"berth:maxInstances":         rapid.IntRange(5, 100).Draw(t, "maxInstances"),
		"berth:minInstances":         rapid.IntRange(0, 5).Draw(t, "minInstances"),
		"berth:requestTimeout":       rapid.IntRange(1, 3600).Draw(t, "requestTimeout"),
		"berth:sessionAffinity":      rapid.Bool().Draw(t, "sessionAffinity"),
		"berth:startupCpuBoost":      rapid.Bool().Draw(t, "startupCpuBoost"),
		"berth:executionEnvironment": pick(t, "executionEnvironment", "", "gen1", "gen2"),
		"berth:startupProbe":         anyProbe(t, "startupProbe", "http", "grpc", "tcp"),
		"berth:livenessProbe":        anyProbe(t, "livenessProbe", "", "http", "grpc", "tcp"),
		"berth:environment":          rapid.MapOfN(rapid.StringMatching(`VAR_[A-Z]{1,8}_X`), rapid.StringMatching(`[a-z ]{0,20}`), 0, 3).Draw(t, "environment"),
		"berth:ingress":              pick(t, "ingress", "all", "internal", "internal-and-cloud-load-balancing"),
		"berth:audiences":            someOf(t, "audiences", "https://acme.example.com", "acme"),
		"berth:network":              pick(t, "network", settings{}, settings{"network": "acme"}, settings{"subnetwork": "s", "egress": "all-traffic", "tags": []string{"mcp"}}),
		"berth:kmsKey":               pick(t, "kmsKey", "", "projects/acme-prod/locations/europe-west1/keyRings/r/cryptoKeys/k"),
		"berth:binaryAuthorization":  pick(t, "binaryAuthorization", "", "default", "projects/p/platforms/cloudRun/policies/strict"),
		"berth:data":                 pick(t, "kept", settings{}, settings{"versioning": false, "retentionDays": 3650}, settings{"oldVersionDays": 1}, settings{"softDeleteDays": 0}, settings{"softDeleteDays": 90}),
		"berth:monitoring": settings{"enabled": rapid.Bool().Draw(t, "monitoring"), "dashboard": rapid.Bool().Draw(t, "dashboard"),
			"refused": rapid.IntRange(0, 100).Draw(t, "refused"), "channels": someOf(t, "channels", "projects/p/notificationChannels/1", "projects/p/notificationChannels/2")},
		"berth:group": pick(t, "group", settings{}, settings{"email": "Acme@example.com", "customer": "C01abc234", "members": []string{"Ada@example.com", "bo@example.com"}}),
	})
	size := pick(t, "size", [2]string{"1", "512Mi"}, [2]string{"2", "4Gi"}, [2]string{"4000m", "8Gi"}).([2]string)
	s["berth:cpu"], s["berth:memory"] = size[0], size[1]

	data := settings{"enabled": rapid.Bool().Draw(t, "data"), "protect": rapid.Bool().Draw(t, "protect")}
	maps.Copy(data, s["berth:data"].(settings))
	s["berth:data"] = data

	secrets, sidecars := settings{}, settings{}
	for _, name := range someOf(t, "secrets", "API_TOKEN", "DB", "certificate") {
		secrets[name] = pick(t, name, settings{"value": "hunter2"}, settings{"value": "hunter2", "file": "/secrets/" + name + "/value"},
			settings{"secret": "shared", "version": "3"}, settings{"secret": "projects/other-123/secrets/x", "version": "12", "file": "/run/" + name + "/x"})
	}
	for _, name := range someOf(t, "sidecars", "agent", "proxy-2") {
		sidecars[name] = settings{"image": agent, "memory": "512Mi", "first": rapid.Bool().Draw(t, "first"), "secrets": append([]string{}, sorted(secrets)...),
			"startupProbe": settings{"type": "tcp", "port": 9090}}
	}
	s["berth:secrets"], s["berth:sidecars"] = secrets, sidecars
	return s
}

func anyProbe(t *rapid.T, label string, types ...any) settings {
	period := rapid.IntRange(1, 60).Draw(t, label+" period")
	return settings{"type": pick(t, label, types...), "period": period,
		"timeout": rapid.IntRange(1, period).Draw(t, label+" timeout"), "failures": rapid.IntRange(1, 240/period).Draw(t, label+" failures")}
}

func TestWhateverIsValidKeepsThePolicies(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := anyValid(rt)
		args, err := loaded(t, s, "berth:secrets")
		if err != nil {
			rt.Fatalf("a valid configuration is refused: %v", err)
		}
		planned, err := plan(t.Context(), "berth", args.canonical(), nil)
		if err != nil {
			rt.Fatal(err)
		}
		if err := policy.Check(planned); err != nil {
			rt.Fatal(err)
		}
		if shown := fmt.Sprint(planned); strings.Contains(shown, "hunter2") {
			rt.Fatal("a secret's value is in the plan")
		}
		for _, r := range planned {
			if r.Type == "gcp:cloudrunv2/serviceIamBinding:ServiceIamBinding" {
				if members := r.Inputs["members"].ArrayValue(); (len(members) == 0) != s["berth:suspend"].(bool) {
					rt.Fatalf("suspended: %v, but members: %v", s["berth:suspend"], members)
				}
			}
		}
	})
}

// wrong are ways to spoil a configuration, each by another key: what to set, and how
// the problem must be named.
var wrong = []struct {
	key   string
	value any
	named string
}{
	{"gcp:project", "X", `gcp:project: "X"`},
	{"gcp:region", "europe", `gcp:region: "europe"`},
	{"berth:client", "Acme", `berth:client: "Acme"`},
	{"berth:labels", settings{"Owner": "ada"}, `berth:labels.Owner: "ada"`},
	{"berth:developers", []string{"allUsers"}, `berth:developers: "allUsers"`},
	{"berth:group", settings{"email": "acme", "customer": "1"}, `berth:group.email: "acme"`},
	{"berth:viewer", "perhaps", `berth:viewer: "perhaps"`},
	{"berth:image", "example.com/server:v1", `berth:image: "example.com/server:v1"`},
	{"berth:port", 0, `berth:port: "0"`},
	{"berth:cpu", "3", `berth:cpu: "3"`},
	{"berth:concurrency", 1001, `berth:concurrency: "1001"`},
	{"berth:maxInstances", 0, `berth:maxInstances: "0"`},
	{"berth:requestTimeout", "soon", `berth:requestTimeout: "soon"`},
	{"berth:executionEnvironment", "gen3", `berth:executionEnvironment: "gen3"`},
	{"berth:startupProbe", settings{"type": "ping"}, `berth:startupProbe.type: "ping"`},
	{"berth:livenessProbe", settings{"type": "http", "path": "ready"}, `berth:livenessProbe.path: "ready"`},
	{"berth:environment", settings{"PORT": "80"}, `berth:environment.PORT: "80"`},
	{"berth:secrets", settings{"DB": settings{"secret": "db", "version": "latest"}}, `berth:secrets.DB.version: "latest"`},
	{"berth:sidecars", settings{"agent": settings{"image": "agent:v1"}}, `berth:sidecars.agent.image: "agent:v1"`},
	{"berth:ingress", "everywhere", `berth:ingress: "everywhere"`},
	{"berth:audiences", []string{"http://acme.example.com"}, `berth:audiences[0]: "http://acme.example.com"`},
	{"berth:network", settings{"egress": "some"}, `berth:network.egress: "some"`},
	{"berth:kmsKey", "my-key", `berth:kmsKey: "my-key"`},
	{"berth:binaryAuthorization", "yes", `berth:binaryAuthorization: "yes"`},
	{"berth:data", settings{"enabled": true, "softDeleteDays": 3}, `berth:data.softDeleteDays: "3"`},
	{"berth:monitoring", settings{"enabled": true, "channels": []string{"me"}}, `berth:monitoring.channels[0]: "me"`},
	{"berth:memroy", "1Gi", `berth:memroy: "1Gi"`},
}

func TestWhateverIsWrongIsAllReportedByItsKey(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := anyValid(rt)
		spoilt := rapid.SliceOfNDistinct(rapid.IntRange(0, len(wrong)-1), 1, 8, rapid.ID[int]).Draw(rt, "spoilt")
		for _, i := range spoilt {
			s[wrong[i].key] = wrong[i].value
		}
		r, err := run(t, s)
		if err == nil {
			rt.Fatal("nothing is reported")
		}
		for _, i := range spoilt {
			if !strings.Contains(err.Error(), wrong[i].named) {
				rt.Fatalf("%s is not reported in:\n%v", wrong[i].named, err)
			}
		}
		if len(r.resources) > 0 {
			rt.Fatalf("%d resources were declared", len(r.resources))
		}
		if strings.Contains(err.Error(), "hunter2") {
			rt.Fatalf("a secret's value is in the message:\n%v", err)
		}
	})
}

func TestEachWayToSpoilAConfigurationIsReportedOnItsOwn(t *testing.T) {
	for _, w := range wrong {
		_, err := run(t, valid(settings{w.key: w.value}))
		require.ErrorContains(t, err, w.named)
	}
}
