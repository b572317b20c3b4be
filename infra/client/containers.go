package client

import (
	"maps"
	"path"
	"slices"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// serverContainer is the name of the container that gets the requests.
const serverContainer = "server"

// containers are the server's and, by name, the sidecars.
func (a *ServerArgs) containers(image pulumi.StringInput, secrets map[string]readable) cloudrunv2.ServiceTemplateContainerArray {
	all := cloudrunv2.ServiceTemplateContainerArray{a.serverContainer(image, secrets)}
	for _, name := range slices.Sorted(maps.Keys(a.Sidecars)) {
		all = append(all, a.sidecar(name, a.Sidecars[name], secrets))
	}
	return all
}

func (a *ServerArgs) serverContainer(image pulumi.StringInput, secrets map[string]readable) cloudrunv2.ServiceTemplateContainerArgs {
	var first []string
	for _, name := range slices.Sorted(maps.Keys(a.Sidecars)) {
		if a.Sidecars[name].First {
			first = append(first, name)
		}
	}
	return cloudrunv2.ServiceTemplateContainerArgs{
		Name:     pulumi.String(serverContainer),
		Image:    image,
		Commands: list(a.Command),
		Args:     list(a.Args),
		Ports: cloudrunv2.ServiceTemplateContainerPortsArgs{
			Name:          pulumi.String("http1"),
			ContainerPort: pulumi.Int(a.Port),
		},
		Envs:          envs(a.variables(), secrets),
		VolumeMounts:  mounts(secrets),
		Resources:     a.resources(a.CPU, a.Memory),
		StartupProbe:  a.StartupProbe.startup(a.Port),
		LivenessProbe: a.LivenessProbe.liveness(a.Port),
		DependsOns:    list(first),
	}
}

func (a *ServerArgs) sidecar(name string, s Sidecar, all map[string]readable) cloudrunv2.ServiceTemplateContainerArgs {
	secrets := map[string]readable{}
	for _, secret := range s.Secrets {
		secrets[secret] = all[secret]
	}
	return cloudrunv2.ServiceTemplateContainerArgs{
		Name:         pulumi.String(name),
		Image:        pulumi.String(s.Image),
		Commands:     list(s.Command),
		Args:         list(s.Args),
		Envs:         envs(s.Environment, secrets),
		VolumeMounts: mounts(secrets),
		Resources:    a.resources(s.CPU, s.Memory),
		StartupProbe: s.StartupProbe.startup(0),
	}
}

// dataVariable tells the server where its bucket is.
const dataVariable = "BERTH_DATA"

// variables are the server's: what Berth tells it and what the operator does.
func (a *ServerArgs) variables() map[string]string {
	all := map[string]string{
		"BERTH_CLIENT":         a.Client,
		"BERTH_IDENTITY":       "cloudrun",
		"GOOGLE_CLOUD_PROJECT": a.Project, // ties log records to their traces
	}
	if a.Data.Enabled {
		all[dataVariable] = "gs://" + a.bucket()
	}
	maps.Copy(all, a.Environment)
	return all
}

// envs are sorted by name: the API keeps the order, and another order is a change.
func envs(plain map[string]string, secrets map[string]readable) cloudrunv2.ServiceTemplateContainerEnvArray {
	all := map[string]*cloudrunv2.ServiceTemplateContainerEnvArgs{}
	for name, value := range plain {
		all[name] = &cloudrunv2.ServiceTemplateContainerEnvArgs{Name: pulumi.String(name), Value: pulumi.String(value)}
	}
	for name, s := range secrets {
		if s.file == "" {
			all[name] = &cloudrunv2.ServiceTemplateContainerEnvArgs{
				Name: pulumi.String(name),
				ValueSource: &cloudrunv2.ServiceTemplateContainerEnvValueSourceArgs{
					SecretKeyRef: &cloudrunv2.ServiceTemplateContainerEnvValueSourceSecretKeyRefArgs{
						Secret: s.secret, Version: s.version.ToStringOutput(),
					},
				},
			}
		}
	}
	var sorted cloudrunv2.ServiceTemplateContainerEnvArray
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[name])
	}
	return sorted
}

// mounts put the files where they are wanted. A mount hides its whole directory.
func mounts(secrets map[string]readable) cloudrunv2.ServiceTemplateContainerVolumeMountArray {
	var all cloudrunv2.ServiceTemplateContainerVolumeMountArray
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if file := secrets[name].file; file != "" {
			all = append(all, &cloudrunv2.ServiceTemplateContainerVolumeMountArgs{
				Name:      pulumi.String(volumeName(name)),
				MountPath: pulumi.String(path.Dir(file)),
			})
		}
	}
	return all
}

func (a *ServerArgs) resources(cpu, memory string) cloudrunv2.ServiceTemplateContainerResourcesArgs {
	return cloudrunv2.ServiceTemplateContainerResourcesArgs{
		Limits:          pulumi.StringMap{"cpu": pulumi.String(cpu), "memory": pulumi.String(memory)},
		CpuIdle:         pulumi.Bool(a.CPUIdle),
		StartupCpuBoost: pulumi.Bool(a.StartupCPUBoost), // of all containers or of none
	}
}

// startup is the probe, or nil where there is none.
func (p Probe) startup(port int) cloudrunv2.ServiceTemplateContainerStartupProbePtrInput {
	port = p.port(port)
	probe := &cloudrunv2.ServiceTemplateContainerStartupProbeArgs{
		InitialDelaySeconds: pulumi.Int(p.InitialDelay),
		PeriodSeconds:       pulumi.Int(p.Period),
		TimeoutSeconds:      pulumi.Int(p.Timeout),
		FailureThreshold:    pulumi.Int(p.Failures),
	}
	switch p.Type {
	case "http":
		probe.HttpGet = &cloudrunv2.ServiceTemplateContainerStartupProbeHttpGetArgs{Path: pulumi.String(p.path()), Port: pulumi.Int(port)}
	case "grpc":
		probe.Grpc = &cloudrunv2.ServiceTemplateContainerStartupProbeGrpcArgs{Service: optional(p.Service), Port: pulumi.Int(port)}
	case "tcp":
		probe.TcpSocket = &cloudrunv2.ServiceTemplateContainerStartupProbeTcpSocketArgs{Port: pulumi.Int(port)}
	default:
		return nil
	}
	return probe
}

func (p Probe) liveness(port int) cloudrunv2.ServiceTemplateContainerLivenessProbePtrInput {
	port = p.port(port)
	probe := &cloudrunv2.ServiceTemplateContainerLivenessProbeArgs{
		InitialDelaySeconds: pulumi.Int(p.InitialDelay),
		PeriodSeconds:       pulumi.Int(p.Period),
		TimeoutSeconds:      pulumi.Int(p.Timeout),
		FailureThreshold:    pulumi.Int(p.Failures),
	}
	switch p.Type {
	case "http":
		probe.HttpGet = &cloudrunv2.ServiceTemplateContainerLivenessProbeHttpGetArgs{Path: pulumi.String(p.path()), Port: pulumi.Int(port)}
	case "grpc":
		probe.Grpc = &cloudrunv2.ServiceTemplateContainerLivenessProbeGrpcArgs{Service: optional(p.Service), Port: pulumi.Int(port)}
	case "tcp":
		probe.TcpSocket = &cloudrunv2.ServiceTemplateContainerLivenessProbeTcpSocketArgs{Port: pulumi.Int(port)}
	default:
		return nil
	}
	return probe
}

func (p Probe) port(containers int) int {
	if p.Port != 0 {
		return p.Port
	}
	return containers
}

func (p Probe) path() string {
	if p.Path != "" {
		return p.Path
	}
	return "/"
}

// list leaves an empty one out, which means the image's own.
func list(values []string) pulumi.StringArrayInput {
	if len(values) == 0 {
		return nil
	}
	return pulumi.ToStringArray(values)
}
