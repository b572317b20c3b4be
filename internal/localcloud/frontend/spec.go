package frontend

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
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
	containers  []container
	volumes     []volume
	account     string        // that instances run as
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
	if traffic := svc.GetTraffic(); len(traffic) > 1 || len(traffic) == 1 && traffic[0].GetType() != runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST {
		refuse("traffic", "the local cloud sends all of it to the latest revision: leave it out")
	}
	project, _, _ := strings.Cut(strings.TrimPrefix(svc.GetName(), "projects/"), "/")
	s := spec{
		settings: settings{open: svc.GetInvokerIamDisabled(), hidden: hidden(svc), audiences: svc.GetCustomAudiences()},
		template: template{
			containers:  readContainers(refuse, project, t),
			volumes:     readVolumes(refuse, project, t.GetVolumes()),
			account:     t.GetServiceAccount(),
			timeout:     cmp.Or(t.GetTimeout().AsDuration(), defaultTimeout),
			concurrency: cmp.Or(int(t.GetMaxInstanceRequestConcurrency()), defaultConcurrency),
			affinity:    t.GetSessionAffinity(),
		},
	}
	s.settings.min, s.settings.max = scaling(svc)
	if len(s.template.containers) > 1 {
		// Sidecars listen on ports of their own choice, of which this machine
		// has one each.
		s.settings.min, s.settings.max = min(s.settings.min, 1), min(s.settings.max, 1)
	}
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
