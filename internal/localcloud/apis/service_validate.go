package apis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/api"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Cloud Run's bounds, after https://cloud.google.com/run/quotas and the field
// documentation of its protos.
const (
	maxConcurrency     = 1000
	maxTimeout         = time.Hour
	maxDescription     = 512
	maxEnvironment     = 1000
	maxEnvironmentByte = 32 << 10
	maxContainers      = 10
	maxStartupSeconds  = 240
)

var (
	serviceIDPattern     = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,47}[a-z0-9])?$`)
	revisionPattern      = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	containerNamePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

	// reservedVariables are Cloud Run's own.
	reservedVariables = []string{"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"}
	reservedPrefixes  = []string{"X_GOOGLE_"}

	// reservedNamespaces may not begin a label's or an annotation's key.
	reservedNamespaces = []string{"run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev"}
)

// checkService adds everything that is wrong with a service whose defaults are
// filled in.
func checkService(v *violations, svc *runpb.Service) {
	if n := len(svc.GetDescription()); n > maxDescription {
		v.add("service.description", "%d bytes are too many; the most is %d", n, maxDescription)
	}
	if !known(runpb.IngressTraffic_name, int32(svc.GetIngress())) {
		v.add("service.ingress", "%d is not an ingress setting", svc.GetIngress())
	}
	if !known(api.LaunchStage_name, int32(svc.GetLaunchStage())) {
		v.add("service.launch_stage", "%d is not a launch stage", svc.GetLaunchStage())
	}
	checkRunLabels(v, "service.labels", svc.GetLabels())
	checkAnnotations(v, "service.annotations", svc.GetAnnotations())
	checkScaling(v, svc.GetScaling())
	checkTraffic(v, svc.GetTraffic())
	checkAudiences(v, svc.GetCustomAudiences())
	checkBinaryAuthorization(v, svc.GetBinaryAuthorization())
	if svc.GetTemplate() == nil {
		v.add("service.template", "A template is required")
		return
	}
	checkTemplate(v, "service.template", lastSegment(svc.GetName()), svc.GetTemplate())
	checkEncryptionKey(v, "service.template.encryption_key", locationOf(svc.GetName()), svc.GetTemplate().GetEncryptionKey())
}

func known(names map[int32]string, value int32) bool {
	_, ok := names[value]
	return ok
}

func checkScaling(v *violations, s *runpb.ServiceScaling) {
	if s.GetMinInstanceCount() < 0 {
		v.add("service.scaling.min_instance_count", "%d is negative", s.GetMinInstanceCount())
	}
	if s.GetMaxInstanceCount() < 0 {
		v.add("service.scaling.max_instance_count", "%d is negative", s.GetMaxInstanceCount())
	}
	if !known(runpb.ServiceScaling_ScalingMode_name, int32(s.GetScalingMode())) {
		v.add("service.scaling.scaling_mode", "%d is not a scaling mode", s.GetScalingMode())
	}
	manual := s.GetScalingMode() == runpb.ServiceScaling_MANUAL
	if s != nil && s.ManualInstanceCount != nil && !manual {
		v.add("service.scaling.manual_instance_count", "A number of instances takes scaling_mode MANUAL")
	}
	if s.GetManualInstanceCount() < 0 {
		v.add("service.scaling.manual_instance_count", "%d is negative", s.GetManualInstanceCount())
	}
}

func checkTraffic(v *violations, targets []*runpb.TrafficTarget) {
	sum := int32(0)
	for i, t := range targets {
		field := fmt.Sprintf("service.traffic[%d]", i)
		sum += t.GetPercent()
		if t.GetPercent() < 0 || t.GetPercent() > 100 {
			v.add(field+".percent", "%d is not 0 to 100", t.GetPercent())
		}
		byName := t.GetType() == runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
		if byName != (t.GetRevision() != "") {
			v.add(field+".revision", "A revision and type TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION go together")
		}
	}
	if sum != 100 {
		v.add("service.traffic", "Traffic percents must add up to 100, not %d", sum)
	}
}

func checkTemplate(v *violations, field, service string, t *runpb.RevisionTemplate) {
	if id := t.GetRevision(); id != "" && (!revisionPattern.MatchString(id) || !strings.HasPrefix(id, service+"-")) {
		v.add(field+".revision", "%q must begin with %q and have only lower-case letters, digits and hyphens, at most 63", id, service+"-")
	}
	checkRunLabels(v, field+".labels", t.GetLabels())
	checkAnnotations(v, field+".annotations", t.GetAnnotations())
	if lowest, highest := t.GetScaling().GetMinInstanceCount(), t.GetScaling().GetMaxInstanceCount(); lowest < 0 || highest < 1 {
		v.add(field+".scaling", "min_instance_count %d must not be negative and max_instance_count %d must be at least 1", lowest, highest)
	} else if lowest > highest {
		v.add(field+".scaling.min_instance_count", "%d is more than max_instance_count %d", lowest, highest)
	}
	if n := t.GetMaxInstanceRequestConcurrency(); n < 1 || n > maxConcurrency {
		v.add(field+".max_instance_request_concurrency", "%d is not 1 to %d", n, maxConcurrency)
	}
	if d := t.GetTimeout(); !d.IsValid() || d.AsDuration() < time.Second || d.AsDuration() > maxTimeout || d.GetNanos() != 0 {
		v.add(field+".timeout", "%gs must be whole seconds from 1s to %ds", d.AsDuration().Seconds(), int(maxTimeout.Seconds()))
	}
	if !known(runpb.ExecutionEnvironment_name, int32(t.GetExecutionEnvironment())) {
		v.add(field+".execution_environment", "%d is not an execution environment", t.GetExecutionEnvironment())
	}
	checkVPCAccess(v, field+".vpc_access", t.GetVpcAccess())
	checkContainers(v, field+".containers", t)
	checkBoost(v, field+".containers", t.GetContainers())
}

func checkRunLabels(v *violations, field string, labels map[string]string) {
	checkLabels(v, field, labels)
	checkAnnotations(v, field, labels)
}

func checkAnnotations(v *violations, field string, annotations map[string]string) {
	for key := range annotations {
		if namespace, _, _ := strings.Cut(key, "/"); hasAnySuffix(namespace, reservedNamespaces) {
			v.add(field, "%q is in a namespace of the system's own", key)
		}
	}
}

func hasAnyPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

func hasAnySuffix(s string, suffixes []string) bool {
	return slices.ContainsFunc(suffixes, func(p string) bool { return strings.HasSuffix(s, p) })
}

// unservedBy names what Cloud Run has and the local cloud does not, so that it
// is never ignored in silence.
func unservedBy(svc *runpb.Service) error {
	t := svc.GetTemplate()
	var found []string
	for _, f := range []struct {
		name string
		used bool
	}{
		{"service.binary_authorization.policy", svc.GetBinaryAuthorization().GetPolicy() != ""},
		{"service.build_config", svc.GetBuildConfig() != nil},
		{"service.iap_enabled", svc.GetIapEnabled()},
		{"service.multi_region_settings", svc.GetMultiRegionSettings() != nil},
		{"service.traffic to other than the latest revision", !onlyLatest(svc.GetTraffic())},
		{"service.template.node_selector", t.GetNodeSelector() != nil},
		{"service.template.service_mesh", t.GetServiceMesh() != nil},
		{"service.template.volumes of other kinds than secret and empty_dir", slices.ContainsFunc(t.GetVolumes(), unservedVolume)},
		{"service.template.vpc_access.connector", t.GetVpcAccess().GetConnector() != ""},
	} {
		if f.used {
			found = append(found, f.name)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return status.Errorf(codes.Unimplemented, "the local cloud does not have %s; leave it unset here", strings.Join(found, ", "))
}

func unservedVolume(v *runpb.Volume) bool { return v.GetSecret() == nil && v.GetEmptyDir() == nil }

func onlyLatest(targets []*runpb.TrafficTarget) bool {
	return len(targets) == 1 && targets[0].GetTag() == "" &&
		targets[0].GetType() == runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
}
