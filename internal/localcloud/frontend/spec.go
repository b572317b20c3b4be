package frontend

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/berth-mcp/berth/internal/localcloud/instance"
)

// Cloud Run's defaults.
const (
	defaultContainerPort = 8080
	defaultConcurrency   = 80
	defaultMaxInstances  = 100
	defaultTimeout       = 300 * time.Second
)

var serviceName = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/services/[a-z]([-a-z0-9]*[a-z0-9])?$`)

// spec is what a deployment asks for.
type spec struct {
	settings settings
	template template
}

// settings belong to the service: a change applies to the revision that
// serves.
type settings struct {
	open      bool // IAM is not asked
	hidden    bool // the address is not for callers from outside
	audiences []string
	min, max  int // instances
}

// template belongs to the revision.
type template struct {
	image       string
	instance    instance.Spec // but for the image and names
	timeout     time.Duration // of a request
	concurrency int           // requests at once in an instance
	affinity    bool
}

// readSpec returns what a service asks for, or everything in it that cannot be
// had here.
func readSpec(svc *runpb.Service) (spec, error) {
	var problems []error
	refuse := func(field, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	t := svc.GetTemplate()
	if !serviceName.MatchString(svc.GetName()) {
		refuse("name", "%q is not projects/PROJECT/locations/LOCATION/services/SERVICE", svc.GetName())
	}
	if len(t.GetContainers()) != 1 {
		refuse("template.containers", "has %d: the local cloud runs exactly one", len(t.GetContainers()))
		return spec{}, errors.Join(problems...)
	}
	if len(t.GetVolumes()) > 0 {
		refuse("template.volumes", "the local cloud has none: leave them out")
	}
	if traffic := svc.GetTraffic(); len(traffic) > 1 || len(traffic) == 1 && traffic[0].GetType() != runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST {
		refuse("traffic", "the local cloud sends all of it to the latest revision: leave it out")
	}
	container := t.GetContainers()[0]
	env := map[string]string{}
	for n, variable := range container.GetEnv() {
		if variable.GetValueSource() != nil {
			refuse(fmt.Sprintf("template.containers[0].env[%d]", n), "%s is a secret, which the local cloud does not have yet: give a value", variable.GetName())
		}
		env[variable.GetName()] = variable.GetValue()
	}
	if container.GetStartupProbe().GetGrpc() != nil {
		refuse("template.containers[0].startup_probe.grpc", "the local cloud probes by TCP or HTTP: use one of these")
	}
	s := spec{
		settings: settings{open: svc.GetInvokerIamDisabled(), hidden: hidden(svc), audiences: svc.GetCustomAudiences()},
		template: template{
			image: container.GetImage(),
			instance: instance.Spec{
				Service:    path.Base(svc.GetName()),
				Command:    container.GetCommand(),
				Args:       container.GetArgs(),
				WorkingDir: container.GetWorkingDir(),
				Env:        env,
				Probe:      probe(container),
			},
			timeout:     cmp.Or(t.GetTimeout().AsDuration(), defaultTimeout),
			concurrency: cmp.Or(int(t.GetMaxInstanceRequestConcurrency()), defaultConcurrency),
			affinity:    t.GetSessionAffinity(),
		},
	}
	s.settings.min, s.settings.max = scaling(svc)
	return s, errors.Join(problems...)
}

// hidden tells whether callers from the internet do not get to the service. To
// Cloud Run that is whoever comes neither through the project's own network nor
// through its load balancer, of which there is none here.
func hidden(svc *runpb.Service) bool {
	internal := svc.GetIngress() == runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_ONLY ||
		svc.GetIngress() == runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER
	return internal || svc.GetDefaultUriDisabled()
}

// scaling returns the least and the most instances. What the service says
// counts beside what the revision says.
func scaling(svc *runpb.Service) (least, most int) {
	ofService, ofRevision := svc.GetScaling(), svc.GetTemplate().GetScaling()
	if ofService.GetScalingMode() == runpb.ServiceScaling_MANUAL {
		count := int(ofService.GetManualInstanceCount())
		return count, count
	}
	most = cmp.Or(int(ofRevision.GetMaxInstanceCount()), defaultMaxInstances)
	if bound := int(ofService.GetMaxInstanceCount()); bound > 0 {
		most = min(most, bound)
	}
	return min(most, max(int(ofRevision.GetMinInstanceCount()), int(ofService.GetMinInstanceCount()))), most
}

// probe maps a container's startup probe. The container's port stands for
// whichever port the instance is given.
func probe(container *runpb.Container) instance.Probe {
	p := container.GetStartupProbe()
	if p == nil {
		return instance.Probe{}
	}
	var mapped instance.Probe
	port := p.GetTcpSocket().GetPort()
	if get := p.GetHttpGet(); get != nil {
		port = get.GetPort()
		mapped.HTTPPath = cmp.Or(get.GetPath(), "/")
		mapped.Headers = http.Header{}
		for _, header := range get.GetHttpHeaders() {
			mapped.Headers.Add(header.GetName(), header.GetValue())
		}
	}
	containerPort := int32(defaultContainerPort)
	if ports := container.GetPorts(); len(ports) > 0 && ports[0].GetContainerPort() != 0 {
		containerPort = ports[0].GetContainerPort()
	}
	if port != containerPort {
		mapped.Port = int(port)
	}
	seconds := func(n int32) time.Duration { return time.Duration(n) * time.Second }
	mapped.Attempt = seconds(p.GetTimeoutSeconds())
	// The defaults of a probe are 10 s and 3 times.
	mapped.Deadline = seconds(p.GetInitialDelaySeconds()) + seconds(cmp.Or(p.GetPeriodSeconds(), 10))*time.Duration(cmp.Or(p.GetFailureThreshold(), 3))
	return mapped
}
