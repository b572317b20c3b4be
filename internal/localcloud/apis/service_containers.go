package apis

import (
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"
)

func checkContainers(v *violations, field string, t *runpb.RevisionTemplate) {
	all := t.GetContainers()
	if len(all) == 0 || len(all) > maxContainers {
		v.add(field, "%d containers; there must be 1 to %d", len(all), maxContainers)
		return
	}
	serving := 0
	volumes := checkVolumes(v, "service.template.volumes", t.GetVolumes())
	names := map[string]bool{}
	for i, c := range all {
		here := fmt.Sprintf("%s[%d]", field, i)
		if len(c.GetPorts()) > 0 {
			serving++
		}
		if c.GetName() != "" && names[c.GetName()] {
			v.add(here+".name", "%q is used twice", c.GetName())
		}
		names[c.GetName()] = true
		checkContainer(v, here, c)
		checkResources(v, here+".resources", t, c)
		checkMounts(v, here+".volume_mounts", c.GetVolumeMounts(), volumes)
	}
	if serving != 1 {
		v.add(field, "Must contain exactly one container with a container port, not %d", serving)
	}
	checkDependencies(v, field, all)
}

func checkContainer(v *violations, field string, c *runpb.Container) {
	if c.GetName() != "" && !containerNamePattern.MatchString(c.GetName()) {
		v.add(field+".name", "%q must have only lower-case letters, digits and hyphens, at most 63", c.GetName())
	}
	if c.GetImage() == "" {
		v.add(field+".image", "An image is required")
	} else if _, err := parseImage(c.GetImage()); err != nil {
		v.add(field+".image", "Expected an image path like HOST/PROJECT/REPOSITORY/IMAGE@DIGEST, but obtained %s: %v", c.GetImage(), err)
	}
	if len(c.GetPorts()) > 1 {
		v.add(field+".ports", "%d ports; there may be one", len(c.GetPorts()))
	}
	for i, p := range c.GetPorts() {
		if p.GetContainerPort() < 1 || p.GetContainerPort() > 65535 {
			v.add(fmt.Sprintf("%s.ports[%d].container_port", field, i), "%d is not 1 to 65535", p.GetContainerPort())
		}
		if p.GetName() != "http1" && p.GetName() != "h2c" {
			v.add(fmt.Sprintf("%s.ports[%d].name", field, i), "%q is neither http1 nor h2c", p.GetName())
		}
	}
	checkEnvironment(v, field+".env", c.GetEnv())
	var own int32
	if len(c.GetPorts()) > 0 {
		own = c.GetPorts()[0].GetContainerPort()
	}
	checkProbe(v, field+".startup_probe", c.GetStartupProbe(), own, maxStartupSeconds)
	checkProbe(v, field+".liveness_probe", c.GetLivenessProbe(), own, int32(maxTimeout.Seconds()))
	checkProbe(v, field+".readiness_probe", c.GetReadinessProbe(), own, int32(maxTimeout.Seconds()))
	if p := c.GetStartupProbe(); p.GetFailureThreshold()*p.GetPeriodSeconds() > maxStartupSeconds {
		v.add(field+".startup_probe", "failure_threshold times period_seconds is %d s; the most is %d s", p.GetFailureThreshold()*p.GetPeriodSeconds(), maxStartupSeconds)
	}
}

func checkEnvironment(v *violations, field string, env []*runpb.EnvVar) {
	if len(env) > maxEnvironment {
		v.add(field, "%d variables are too many; the most is %d", len(env), maxEnvironment)
	}
	seen := map[string]bool{}
	var reserved []string
	for i, e := range env {
		here := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case e.GetName() == "" || strings.ContainsAny(e.GetName(), "=\x00"):
			v.add(here+".name", "%q must not be empty and must not contain '='", e.GetName())
		case seen[e.GetName()]:
			v.add(here+".name", "%q is used twice; names must be unique", e.GetName())
		case isReserved(e.GetName()):
			reserved = append(reserved, e.GetName())
		}
		seen[e.GetName()] = true
		if len(e.GetValue()) > maxEnvironmentByte {
			v.add(here+".value", "%d bytes are too many; the most is %d", len(e.GetValue()), maxEnvironmentByte)
		}
		if e.GetValueSource() != nil {
			ref := e.GetValueSource().GetSecretKeyRef()
			checkSecretRef(v, here+".value_source.secret_key_ref.secret", ref.GetSecret())
			checkVersion(v, here+".value_source.secret_key_ref.version", ref.GetVersion())
		}
	}
	if len(reserved) > 0 {
		v.add(field, "The following reserved env names were provided: %s. These values are automatically set by the system", strings.Join(reserved, ", "))
	}
}

func isReserved(name string) bool {
	return slices.Contains(reservedVariables, name) || hasAnyPrefix(name, reservedPrefixes)
}

// checkProbe checks a probe of a container that has that port of its own, or 0.
func checkProbe(v *violations, field string, p *runpb.Probe, own, most int32) {
	if p == nil {
		return
	}
	for name, value := range map[string]int32{"timeout_seconds": p.GetTimeoutSeconds(), "period_seconds": p.GetPeriodSeconds()} {
		if value < 1 || value > most {
			v.add(field+"."+name, "%d is not 1 to %d", value, most)
		}
	}
	if p.GetInitialDelaySeconds() < 0 || p.GetInitialDelaySeconds() > most {
		v.add(field+".initial_delay_seconds", "%d is not 0 to %d", p.GetInitialDelaySeconds(), most)
	}
	if p.GetFailureThreshold() < 1 {
		v.add(field+".failure_threshold", "%d is less than 1", p.GetFailureThreshold())
	}
	if p.GetTimeoutSeconds() > p.GetPeriodSeconds() {
		v.add(field+".timeout_seconds", "%d is more than period_seconds %d", p.GetTimeoutSeconds(), p.GetPeriodSeconds())
	}
	if p.GetProbeType() == nil {
		v.add(field, "One of http_get, tcp_socket and grpc is required")
		return
	}
	// What is wrong with the container's own port is said there.
	if port := probedPort(p); port != own && (port < 1 || port > 65535) || port == 0 {
		v.add(field, "Port %d is not 1 to 65535; a container without ports must name the one that is probed", port)
	}
}

func probedPort(p *runpb.Probe) int32 {
	switch kind := p.GetProbeType().(type) {
	case *runpb.Probe_HttpGet:
		return kind.HttpGet.GetPort()
	case *runpb.Probe_TcpSocket:
		return kind.TcpSocket.GetPort()
	default:
		return p.GetGrpc().GetPort()
	}
}
