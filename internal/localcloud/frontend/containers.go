package frontend

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/berth-mcp/berth/internal/localcloud/instance"
)

// latest is the version of a secret that was added last.
const latest = "latest"

// defaultFileMode is Cloud Run's for the files of a secret.
const defaultFileMode fs.FileMode = 0o444

// container is what a deployment asks of one container.
type container struct {
	image string
	// spec lacks the image, and the variables that are secrets.
	spec instance.Container
	// secrets are the full names of versions, by variable.
	secrets map[string]string
}

// volume is what containers may mount.
type volume struct {
	name  string
	files []secretFile // none: it is empty
}

// secretFile is a version of a secret as a file in a volume.
type secretFile struct {
	path, version string
	mode          fs.FileMode
}

// refusal notes what cannot be had here, by the field that asks for it.
type refusal func(field, format string, args ...any)

func readContainers(refuse refusal, project string, t *runpb.RevisionTemplate) []container {
	all := t.GetContainers()
	if len(all) == 0 {
		refuse("template.containers", "there are none: give one")
	}
	var read []container
	for n, c := range all {
		field := fmt.Sprintf("template.containers[%d]", n)
		serves := len(all) == 1 || len(c.GetPorts()) > 0
		one := container{
			image: c.GetImage(),
			spec: instance.Container{
				Name:       c.GetName(),
				Serves:     serves,
				Command:    c.GetCommand(),
				Args:       c.GetArgs(),
				WorkingDir: c.GetWorkingDir(),
				Env:        map[string]string{},
				DependsOn:  c.GetDependsOn(),
				Startup:    startup(c, serves),
				Liveness:   liveness(c, serves),
				Mounts:     mounts(c),
			},
			secrets: map[string]string{},
		}
		for _, variable := range c.GetEnv() {
			switch secret := variable.GetValueSource().GetSecretKeyRef(); {
			case variable.GetValueSource() == nil:
				one.spec.Env[variable.GetName()] = variable.GetValue()
			case secret.GetSecret() == "":
				refuse(field+".env", "%s has neither a value nor a secret: give one", variable.GetName())
			default:
				one.secrets[variable.GetName()] = versionName(project, secret.GetSecret(), secret.GetVersion())
			}
		}
		read = append(read, one)
	}
	return read
}

func readVolumes(refuse refusal, project string, volumes []*runpb.Volume) []volume {
	var read []volume
	for n, v := range volumes {
		one := volume{name: v.GetName()}
		switch kind := v.GetVolumeType().(type) {
		case *runpb.Volume_EmptyDir:
		case *runpb.Volume_Secret:
			one.files = secretFiles(project, kind.Secret)
		default:
			refuse(fmt.Sprintf("template.volumes[%d]", n), "%s is neither of a secret nor an empty directory, which are all that the local cloud has", v.GetName())
		}
		read = append(read, one)
	}
	return read
}

// secretFiles are those that the volume names, or the latest version under the
// secret's own name.
func secretFiles(project string, source *runpb.SecretVolumeSource) []secretFile {
	mode := cmp.Or(fs.FileMode(source.GetDefaultMode()), defaultFileMode)
	items := source.GetItems()
	if len(items) == 0 {
		items = []*runpb.VersionToPath{{Path: path.Base(source.GetSecret()), Version: latest}}
	}
	var files []secretFile
	for _, item := range items {
		files = append(files, secretFile{
			path:    item.GetPath(),
			version: versionName(project, source.GetSecret(), item.GetVersion()),
			mode:    cmp.Or(fs.FileMode(item.GetMode()), mode),
		})
	}
	return files
}

// versionName is the full name of a version; a secret of the service's own
// project may be named by its id alone.
func versionName(project, secret, version string) string {
	if !strings.Contains(secret, "/") {
		secret = "projects/" + project + "/secrets/" + secret
	}
	return secret + "/versions/" + cmp.Or(version, latest)
}

func mounts(c *runpb.Container) map[string]string {
	all := map[string]string{}
	for _, m := range c.GetVolumeMounts() {
		all[m.GetMountPath()] = m.GetName()
	}
	return all
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

// startup maps a container's startup probe.
func startup(c *runpb.Container, serves bool) *instance.Probe {
	p := c.GetStartupProbe()
	if p == nil {
		return nil
	}
	mapped := probe(c, p, serves)
	// The defaults of a probe are 10 s and 3 times.
	mapped.Deadline = seconds(p.GetInitialDelaySeconds()) + seconds(cmp.Or(p.GetPeriodSeconds(), 10))*time.Duration(cmp.Or(p.GetFailureThreshold(), 3))
	return &mapped
}

func liveness(c *runpb.Container, serves bool) *instance.Liveness {
	p := c.GetLivenessProbe()
	if p == nil {
		return nil
	}
	return &instance.Liveness{
		Probe:    probe(c, p, serves),
		Delay:    seconds(p.GetInitialDelaySeconds()),
		Period:   seconds(p.GetPeriodSeconds()),
		Failures: int(p.GetFailureThreshold()),
	}
}

// probe maps what both kinds of probe have. In the container that serves, its
// port stands for whichever port the instance is given.
func probe(c *runpb.Container, p *runpb.Probe, serves bool) instance.Probe {
	mapped := instance.Probe{Attempt: seconds(p.GetTimeoutSeconds())}
	port := p.GetTcpSocket().GetPort()
	if get := p.GetHttpGet(); get != nil {
		port = get.GetPort()
		mapped.HTTPPath = cmp.Or(get.GetPath(), "/")
		mapped.Headers = http.Header{}
		for _, header := range get.GetHttpHeaders() {
			mapped.Headers.Add(header.GetName(), header.GetValue())
		}
	}
	if check := p.GetGrpc(); check != nil {
		port = check.GetPort()
		mapped.GRPC, mapped.GRPCService = true, check.GetService()
	}
	containerPort := int32(defaultContainerPort)
	if ports := c.GetPorts(); len(ports) > 0 && ports[0].GetContainerPort() != 0 {
		containerPort = ports[0].GetContainerPort()
	}
	if !serves || port != containerPort {
		mapped.Port = int(port)
	}
	return mapped
}
