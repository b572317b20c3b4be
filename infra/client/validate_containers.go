package client

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/infra/policy"
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	secretID     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	secretPath   = regexp.MustCompile(`^projects/([^/]+)/secrets/([A-Za-z0-9_-]{1,255})$`)
	versionNo    = regexp.MustCompile(`^[1-9][0-9]{0,8}$`)
	// A container's name is a DNS label.
	containerName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
)

// reserved are the variables that Cloud Run or Berth sets.
var reserved = []string{
	"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION",
	"BERTH_CLIENT", "BERTH_IDENTITY", dataVariable, "GOOGLE_CLOUD_PROJECT",
}

const (
	mostVariable = 32 << 10 // bytes in a variable's value
	mostSidecars = 9        // an instance has ten containers
)

func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

func (a *ServerArgs) environmentProblems() []error {
	var c checker
	c.environment("environment.", a.Environment, reserved)
	return c.problems
}

// environment checks variables whose keys have the prefix.
func (c *checker) environment(prefix string, variables map[string]string, reserved []string) {
	for _, name := range sorted(variables) {
		value := variables[name]
		c.want(variableName.MatchString(name), prefix+name, value, "has a name that is none for a variable: want letters, digits and underscores, not starting with a digit")
		c.want(!slices.Contains(reserved, name), prefix+name, value, "is a variable that Cloud Run or Berth sets; remove it")
		c.want(len(value) <= mostVariable, prefix+name, fmt.Sprint(len(value), " bytes"), "are more than the %d of a variable", mostVariable)
		c.want(!policy.LooksSecret(name, value), prefix+name, "[secret]",
			"looks like a secret, and whoever may view the service can read it; change it, and set the new one with: pulumi config set --secret --path 'berth:secrets.%s.value'", name)
	}
}

func (a *ServerArgs) secretProblems() []error {
	var c checker
	directories, volumes := map[string]string{}, map[string]string{}
	for _, name := range sorted(a.Secrets) {
		s, key := a.Secrets[name], "secrets."+name
		c.want(variableName.MatchString(name), key, name, "is no name for a variable: want letters, digits and underscores, not starting with a digit")
		c.want(!slices.Contains(reserved, name), key, name, "is a variable that Cloud Run or Berth sets; choose another name")
		_, twice := a.Environment[name]
		c.want(!twice || s.File != "", key, name, "is in environment too; remove one of the two")
		switch {
		case s.Value != nil:
			c.want(s.ID == "" && s.Version == "", key, s.ID, "has a value as well; either name a secret that exists, or give the value")
		default:
			c.want(secretID.MatchString(s.ID) || secretPath.MatchString(s.ID), key+".secret", s.ID,
				"is not a secret's id, or projects/PROJECT/secrets/ID; or set a value: pulumi config set --secret --path 'berth:secrets.%s.value'", name)
			c.want(versionNo.MatchString(s.Version), key+".version", s.Version,
				"is not a version's number; \"latest\" would deploy nothing when a new one comes, so write its number")
		}
		if s.File != "" {
			c.file(key+".file", s.File, directories)
			volume := volumeName(name)
			c.want(containerName.MatchString(volume), key, name, "cannot be a file: its volume is named after it, which wants at most 56 letters, digits and underscores, not ending in an underscore; choose another name")
			c.want(volumes[volume] == "", key, name, "differs from %s in capitals alone, and the volumes of both are named after them; choose another name", volumes[volume])
			volumes[volume] = name
		}
	}
	return c.problems
}

// file checks where a secret is to be mounted. directories are those that are taken.
func (c *checker) file(key, file string, directories map[string]string) {
	directory := path.Dir(file)
	c.want(path.IsAbs(file) && path.Clean(file) == file && directory != "/", key, file,
		"is not the absolute path of a file in a directory of its own, like /secrets/key/value")
	for _, system := range []string{"/dev", "/proc", "/sys"} {
		c.want(directory != system && !strings.HasPrefix(directory, system+"/"), key, file, "is below %s, which Cloud Run does not allow", system)
	}
	for _, other := range sorted(directories) {
		c.want(directory != other && !strings.HasPrefix(directory+"/", other+"/") && !strings.HasPrefix(other+"/", directory+"/"), key, file,
			"shares its directory with %s; a file with a secret hides all else in its directory, so give each its own", directories[other])
	}
	directories[directory] = file
}

func (a *ServerArgs) sidecarProblems() []error {
	var c checker
	c.want(len(a.Sidecars) <= mostSidecars, "sidecars", len(a.Sidecars), "are more than the %d that an instance has room for", mostSidecars)
	for _, name := range sorted(a.Sidecars) {
		s, key := a.Sidecars[name], "sidecars."+name
		c.want(containerName.MatchString(name) && name != serverContainer, key, name,
			"cannot name a container: want a letter, then letters, digits and hyphens, all lower-case, at most 63; and %s is the server's own", serverContainer)
		c.digest(key+".image", s.Image)
		c.environment(key+".environment.", s.Environment, reserved[:4]) // Cloud Run's
		for i, secret := range s.Secrets {
			at := fmt.Sprintf("%s.secrets[%d]", key, i)
			_, known := a.Secrets[secret]
			c.want(known, at, secret, "is none of the secrets; add it there")
			_, twice := s.Environment[secret]
			c.want(!twice, at, secret, "is in environment too; remove one of the two")
		}
		c.probe(key+".startupProbe", s.StartupProbe, 0)
		c.want(!s.First || s.StartupProbe.Type != "", key+".first", s.First, "needs a startup probe, which says when it is the server's turn; set startupProbe.type and .port")
	}
	return c.problems
}

func (a *ServerArgs) probeProblems() []error {
	var c checker
	c.probe("startupProbe", a.StartupProbe, a.Port)
	c.probe("livenessProbe", a.LivenessProbe, a.Port)
	c.want(a.StartupProbe.Type != "", "startupProbe.type", "", "is empty, and then Cloud Run would keep the probe of before; write http, grpc or tcp")
	return c.problems
}

// mostProbing is the longest that Cloud Run waits for a container to start, and
// between two probes: 240 seconds.
const mostProbing = 240

// probe checks one of a container that listens on port, or on none.
func (c *checker) probe(key string, p Probe, port int) {
	c.oneOf(key+".type", p.Type, "", "http", "grpc", "tcp")
	if p.Type == "" {
		c.want(p.Path == "" && p.Service == "" && p.Port == 0, key+".type", "", "is empty, so there is no probe, but it has settings; write http, grpc or tcp, or remove them")
		return
	}
	c.want(p.Path == "" || strings.HasPrefix(p.Path, "/"), key+".path", p.Path, "does not start with a slash")
	c.want(p.Path == "" || p.Type == "http", key+".path", p.Path, "is for http alone; remove it, or set the type")
	c.want(p.Service == "" || p.Type == "grpc", key+".service", p.Service, "is for grpc alone; remove it, or set the type")
	c.want(between(p.port(port), 1, 65535), key+".port", p.Port, "is no port from 1 to 65535")
	c.want(between(p.InitialDelay, 0, mostProbing), key+".initialDelay", p.InitialDelay, "is outside 0 to %d", mostProbing)
	c.want(between(p.Period, 1, mostProbing), key+".period", p.Period, "is outside 1 to %d", mostProbing)
	c.want(between(p.Timeout, 1, max(p.Period, 1)), key+".timeout", p.Timeout, "is outside 1 to the period, which is %d", p.Period)
	c.want(p.Failures >= 1 && p.Failures*max(p.Period, 1) <= mostProbing, key+".failures", p.Failures,
		"is not 1 or more, or takes longer than %d seconds with a period of %d", mostProbing, p.Period)
}
