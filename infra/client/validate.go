package client

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/berth-mcp/berth/infra/setting"
	"github.com/google/go-containerregistry/pkg/name"
)

var (
	// 24 characters leave room for "berth-" within a service account id's 30.
	clientName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,22}[a-z0-9])?$`)
	projectID  = regexp.MustCompile(`^([-a-z0-9.]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$`)
	regionName = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`)
)

// pathNames are what a client cannot be called: berth-proxy serves a client's
// own paths without its name in front, and these are paths that servers have.
var pathNames = []string{
	"authorize", "health", "liveness", "mcp", "message", "messages", "metrics",
	"readiness", "ready", "register", "sse", "startup", "token",
}

// validate gives every problem of the configuration. What it lets through is
// what Google would accept and what keeps the server private.
func (c Config) validate() []error {
	var problems []error
	check := func(ok bool, key string, value any, format string, args ...any) {
		if !ok {
			problems = append(problems, setting.Problem(key, value, format, args...))
		}
	}
	check(projectID.MatchString(c.Project), "gcp:project", c.Project,
		"is not a project id; set it: pulumi config set gcp:project PROJECT")
	check(regionName.MatchString(c.Region), "gcp:region", c.Region,
		"is not a region; set it: pulumi config set gcp:region europe-west1")
	check(clientName.MatchString(c.Client), "client", c.Client,
		"cannot name a server: want a letter, then letters, digits and hyphens, all lower-case, at most 24 characters, not ending in a hyphen")
	check(!slices.Contains(pathNames, c.Client), "client", c.Client,
		"is a path of MCP servers, which berth-proxy could not tell from the client's name; choose another name")
	problems = append(problems, c.imageProblems()...)
	problems = append(problems, c.sizeProblems()...)
	check(between(c.Concurrency, 1, 1000), "concurrency", c.Concurrency, "is outside Cloud Run's 1 to 1000")
	check(between(c.MaxInstances, 1, 100), "maxInstances", c.MaxInstances, "is outside 1 to 100")
	check(between(c.MinInstances, 0, max(c.MaxInstances, 0)), "minInstances", c.MinInstances,
		"is not between 0 and maxInstances, which is %d", c.MaxInstances)
	check(c.RequestTimeout >= time.Second && c.RequestTimeout <= time.Hour, "requestTimeout", int(c.RequestTimeout.Seconds()),
		"is outside Cloud Run's 1 to 3600 seconds")
	return problems
}

func (c Config) imageProblems() []error {
	var problems []error
	if c.Image != "" {
		if _, err := name.NewDigest(c.Image, name.StrictValidation); err != nil {
			problems = append(problems, setting.Problem("image", c.Image,
				"does not name an image by digest (HOST/PATH@sha256: and 64 hex digits); a tag can be moved to another image, so look its digest up: docker buildx imagetools inspect %s", withoutDigest(c.Image)))
		}
		return problems
	}
	if c.Build.Package == "" {
		problems = append(problems, setting.Problem("build", "", "names nothing to build; set it to a Go main package, or set image"))
	}
	for _, p := range c.Build.Platforms {
		if os, arch, ok := strings.Cut(p, "/"); !ok || os == "" || arch == "" {
			problems = append(problems, setting.Problem("platforms", p, "is not os/arch, like linux/amd64"))
		}
	}
	if len(c.Build.Platforms) == 0 {
		problems = append(problems, setting.Problem("platforms", "", "names no platform; Cloud Run runs linux/amd64"))
	}
	if _, err := name.NewRegistry(c.RegistryHost, name.StrictValidation); err != nil && c.Region != "" {
		problems = append(problems, setting.Problem("registryHost", c.RegistryHost, "is not a registry's host, like europe-west1-docker.pkg.dev"))
	}
	return problems
}

func withoutDigest(ref string) string {
	before, _, _ := strings.Cut(ref, "@")
	return before
}

func between(n, low, high int) bool { return low <= n && n <= high }
