package client

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/berth-mcp/berth/infra/setting"
	"github.com/berth-mcp/berth/internal/ascii"
	"github.com/google/go-containerregistry/pkg/name"
)

var (
	// 24 characters leave room for "berth-" within a service account id's 30.
	clientName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,22}[a-z0-9])?$`)
	projectID  = regexp.MustCompile(`^([-a-z0-9.]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$`)
	regionName = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`)

	existingRepository = regexp.MustCompile(`^projects/([^/]+)/locations/([a-z0-9-]+)/repositories/([a-z][a-z0-9-]*)$`)

	// After https://cloud.google.com/resource-manager/docs/labels-overview.
	labelKey   = regexp.MustCompile(`^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$`)
	labelValue = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$`)
)

// mostLabels of a resource are 64; Berth sets two of them and Pulumi one.
const mostLabels = 61

// pathNames are what a client cannot be called: berth-proxy serves a client's
// own paths without its name in front, and these are paths that servers have.
var pathNames = []string{
	"authorize", "health", "liveness", "mcp", "message", "messages", "metrics",
	"readiness", "ready", "register", "sse", "startup", "token",
}

// problem is one thing wrong with the arguments.
var problem = setting.Problem

// checker collects problems.
type checker struct{ problems []error }

// want reports a problem with a key's value, unless ok.
func (c *checker) want(ok bool, key string, value any, format string, args ...any) {
	if !ok {
		c.problems = append(c.problems, problem(key, value, format, args...))
	}
}

// oneOf reports a value that is none of those.
func (c *checker) oneOf(key, value string, values ...string) {
	c.want(slices.Contains(values, value), key, value, "is none of %s", strings.TrimPrefix(strings.Join(values, ", "), ", "))
}

// problems of the arguments. What has none is what Google would accept and what
// keeps the server private.
func (a *ServerArgs) problems() []error {
	return slices.Concat(
		a.nameProblems(), a.accessProblems(), a.imageProblems(), a.sizeProblems(), a.scaleProblems(),
		a.environmentProblems(), a.secretProblems(), a.sidecarProblems(), a.probeProblems(),
		a.platformProblems(), a.dataProblems(), a.monitoringProblems(),
	)
}

// canonical is a copy in which everything is written one way, so that the same
// never shows as a change.
func (a *ServerArgs) canonical() *ServerArgs {
	c := *a
	c.Developers = canonicalMembers(a.Developers)
	c.Group.Email = ascii.Lower(a.Group.Email)
	c.Group.Members = canonicalAddresses(a.Group.Members)
	return &c
}

func (a *ServerArgs) nameProblems() []error {
	var c checker
	c.want(projectID.MatchString(a.Project), "gcp:project", a.Project,
		"is not a project id; set it: pulumi config set gcp:project PROJECT")
	c.want(regionName.MatchString(a.Region), "gcp:region", a.Region,
		"is not a region; set it: pulumi config set gcp:region europe-west1")
	c.want(clientName.MatchString(a.Client), "client", a.Client,
		"cannot name a server: want a letter, then letters, digits and hyphens, all lower-case, at most 24 characters, not ending in a hyphen")
	c.want(!slices.Contains(pathNames, a.Client), "client", a.Client,
		"is a path of MCP servers, which berth-proxy could not tell from the client's name; choose another name")
	c.want(len(a.Labels) <= mostLabels, "labels", len(a.Labels), "are more labels than the %d that there is room for", mostLabels)
	for _, key := range sorted(a.Labels) {
		c.want(key != "client" && key != "managed-by", "labels."+key, a.Labels[key], "is a label that Berth sets; remove it")
		c.want(labelKey.MatchString(key) && !strings.HasPrefix(key, "goog"), "labels."+key, a.Labels[key],
			"has a key that Google refuses: want a letter, then letters, digits, hyphens and underscores, all lower-case, at most 63, not starting with goog")
		c.want(labelValue.MatchString(a.Labels[key]), "labels."+key, a.Labels[key],
			"is refused by Google: want letters, digits, hyphens and underscores, all lower-case, at most 63")
	}
	return c.problems
}

func (a *ServerArgs) imageProblems() []error {
	var c checker
	c.want(between(a.Port, 1, 65535), "port", a.Port, "is no port from 1 to 65535")
	if a.Image != "" {
		c.digest("image", a.Image)
		return c.problems
	}
	c.want(a.Build.Package != "", "build", "", "names nothing to build; set it to a Go main package, or set image")
	if a.Build.Base != "" {
		c.digest("base", a.Build.Base)
	}
	for _, p := range a.Build.Platforms {
		os, arch, ok := strings.Cut(p, "/")
		c.want(ok && os != "" && arch != "", "platforms", p, "is not os/arch, like linux/amd64")
	}
	c.want(len(a.Build.Platforms) > 0, "platforms", "", "names no platform; Cloud Run runs linux/amd64")
	c.want(a.Repository == "" || existingRepository.MatchString(a.Repository), "repository", a.Repository,
		"is not a repository, like projects/my-project/locations/europe-west1/repositories/servers; copy its name from: gcloud artifacts repositories describe NAME --location=LOCATION --format='value(name)'")
	c.want(between(a.KeepImages, 1, 100), "keepImages", a.KeepImages, "is outside 1 to 100")
	if a.RegistryHost != "" {
		_, err := name.NewRegistry(a.RegistryHost, name.StrictValidation)
		c.want(err == nil, "registryHost", a.RegistryHost, "is not a registry's host, like europe-west1-docker.pkg.dev")
	}
	return c.problems
}

// digest reports an image that is not named by one.
func (c *checker) digest(key, image string) {
	_, err := name.NewDigest(image, name.StrictValidation)
	before, _, _ := strings.Cut(image, "@")
	c.want(err == nil, key, image,
		"does not name an image by digest (HOST/PATH@sha256: and 64 hex digits); a tag can be moved to another image, so look its digest up: docker buildx imagetools inspect %s", before)
}

func (a *ServerArgs) scaleProblems() []error {
	var c checker
	c.want(between(a.Concurrency, 1, 1000), "concurrency", a.Concurrency, "is outside Cloud Run's 1 to 1000")
	c.want(between(a.MaxInstances, 1, 100), "maxInstances", a.MaxInstances, "is outside 1 to 100")
	c.want(between(a.MinInstances, 0, max(a.MaxInstances, 0)), "minInstances", a.MinInstances,
		"is not between 0 and maxInstances, which is %d", a.MaxInstances)
	c.want(a.RequestTimeout >= time.Second && a.RequestTimeout <= time.Hour, "requestTimeout", int(a.RequestTimeout.Seconds()),
		"is outside Cloud Run's 1 to 3600 seconds")
	return c.problems
}

func between(n, low, high int) bool { return low <= n && n <= high }
