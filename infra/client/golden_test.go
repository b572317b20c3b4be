package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/infra/graphtest"
	"github.com/berth-mcp/berth/infra/policy"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const agent = "example.com/team/agent@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

// examples are configurations whose graphs reviewers read.
var examples = map[string]settings{
	"minimal": {
		"gcp:project":      "acme-prod",
		"gcp:region":       "europe-west1",
		"berth:developers": []string{"group:acme-developers@example.com"},
	},
	"prebuilt": valid(settings{
		"berth:port":         9000,
		"berth:command":      []string{"node"},
		"berth:args":         []string{"server.js", "--http"},
		"berth:environment":  settings{"LOG_LEVEL": "info"},
		"berth:startupProbe": settings{"type": "http", "path": "/ready"},
	}),
	"owned-group": valid(settings{
		"berth:developers": []string{},
		"berth:group": settings{"email": "acme-developers@example.com", "customer": "C01abc234",
			"members": []string{"Ada@example.com", "bo@example.com"}},
	}),
	"suspended": valid(settings{"berth:suspend": true, "berth:viewer": true}),
	"everything": {
		"gcp:project":                "acme-prod",
		"gcp:region":                 "europe-west1",
		"berth:developers":           []string{"domain:example.com", "serviceAccount:agent@acme-prod.iam.gserviceaccount.com"},
		"berth:group":                settings{"email": "acme-developers@example.com", "customer": "C01abc234", "members": []string{"ada@example.com"}},
		"berth:viewer":               true,
		"berth:labels":               settings{"owner": "ada", "cost-center": "cc-42"},
		"berth:keepImages":           5,
		"berth:cpu":                  "2",
		"berth:memory":               "1Gi",
		"berth:cpuIdle":              false,
		"berth:concurrency":          40,
		"berth:minInstances":         1,
		"berth:maxInstances":         5,
		"berth:requestTimeout":       600,
		"berth:sessionAffinity":      false,
		"berth:startupCpuBoost":      false,
		"berth:startupProbe":         settings{"type": "http", "path": "/ready", "failures": 30},
		"berth:livenessProbe":        settings{"type": "grpc", "service": "health"},
		"berth:environment":          settings{"LOG_LEVEL": "info"},
		"berth:secrets":              settings{"API_TOKEN": settings{"value": "hunter2"}, "DB": settings{"secret": "projects/shared-1234/secrets/db", "version": "3", "file": "/secrets/db/password"}},
		"berth:sidecars":             settings{"agent": settings{"image": agent, "memory": "512Mi", "first": true, "secrets": []string{"DB"}, "startupProbe": settings{"type": "tcp", "port": 9090}}},
		"berth:ingress":              "internal-and-cloud-load-balancing",
		"berth:audiences":            []string{"https://acme.example.com"},
		"berth:network":              settings{"network": "acme", "subnetwork": "servers", "tags": []string{"mcp"}, "egress": "all-traffic"},
		"berth:kmsKey":               "projects/acme-prod/locations/europe-west1/keyRings/berth/cryptoKeys/acme",
		"berth:data":                 settings{"enabled": true, "softDeleteDays": 14},
		"berth:monitoring":           settings{"enabled": true, "channels": []string{"projects/acme-prod/notificationChannels/123"}},
		"berth:executionEnvironment": "gen2",
		"berth:binaryAuthorization":  "default",
		"berth:deletionProtection":   true,
	},
}

// tinySource is a program that compiles at once.
func tinySource(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/tiny\n\ngo 1.24\n",
		"main.go": "package main\n\nfunc main() {}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return dir
}

// graph is what a preview of the stack "acme" shows.
func graph(t *testing.T, s settings) (graphtest.Graph, error) {
	t.Helper()
	all := settings{}
	for key, value := range s {
		all[key] = value
	}
	if _, prebuilt := s["berth:image"]; !prebuilt {
		all["berth:build"] = tinySource(t)
	}
	project, _ := s["gcp:project"].(string)
	return graphtest.Run(t, Stack, all,
		graphtest.Cloud{Computed: func(args pulumi.MockResourceArgs) resource.PropertyMap {
			return (&planner{project: project}).state(args)
		}},
		func(info *pulumi.RunInfo) {
			info.DryRun = true
			info.ConfigSecretKeys = []string{"berth:secrets"}
		})
}

func TestTheGraphOfResourcesIsAsReviewed(t *testing.T) {
	for name, config := range examples {
		t.Run(name, func(t *testing.T) {
			g, err := graph(t, config)
			require.NoError(t, err)
			for _, service := range g.Of("gcp:cloudrunv2/service:Service") {
				server := service.Inputs["template"].(map[string]any)["containers"].([]any)[0].(map[string]any)
				if built, _, found := strings.Cut(server["image"].(string), "/server@sha256:"); found && server["image"] != prebuilt {
					server["image"] = built + "/server@sha256:BUILT" // another Go, another digest
				}
			}
			g.Golden(t, name)
		})
	}
}

func TestEveryExampleKeepsThePolicies(t *testing.T) {
	for name, config := range examples {
		t.Run(name, func(t *testing.T) {
			args, err := loaded(t, config, "berth:secrets")
			require.NoError(t, err)
			args.Image = prebuilt
			planned, err := plan(t.Context(), "berth", args.canonical(), nil)
			require.NoError(t, err)
			require.NotEmpty(t, planned)
			assert.NoError(t, policy.Check(planned))
		})
	}
}
