package apis

import (
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/api"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// What Cloud Run fills in, after the field documentation of its protos and what
// a service created with an image alone reads like afterwards.
const (
	defaultConcurrency  = 80
	defaultTimeout      = 300 * time.Second
	defaultMaxInstances = 100
	defaultCPU          = "1000m"
	defaultMemory       = "512Mi"
	defaultPort         = 8080
	defaultPortName     = "http1"

	defaultProbePath      = "/"
	defaultProbeTimeout   = 1 // seconds
	defaultProbePeriod    = 10
	defaultProbeThreshold = 3
)

// fillService fills in what the caller left out, so that a service reads whole.
func fillService(svc *runpb.Service, on project) {
	if svc.GetIngress() == runpb.IngressTraffic_INGRESS_TRAFFIC_UNSPECIFIED {
		svc.Ingress = runpb.IngressTraffic_INGRESS_TRAFFIC_ALL
	}
	if svc.GetLaunchStage() == api.LaunchStage_LAUNCH_STAGE_UNSPECIFIED {
		svc.LaunchStage = api.LaunchStage_GA
	}
	if len(svc.GetTraffic()) == 0 {
		svc.Traffic = []*runpb.TrafficTarget{{
			Type: runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST, Percent: 100,
		}}
	}
	if svc.GetScaling() != nil && proto.Equal(svc.GetScaling(), &runpb.ServiceScaling{}) {
		svc.Scaling = nil // Cloud Run drops the zero
	}
	if svc.GetTemplate() != nil {
		fillTemplate(svc.GetTemplate(), on)
	}
}

func fillTemplate(t *runpb.RevisionTemplate, on project) {
	if t.GetTimeout() == nil {
		t.Timeout = durationpb.New(defaultTimeout)
	}
	if t.GetServiceAccount() == "" {
		t.ServiceAccount = on.computeAccount()
	}
	if t.GetScaling() == nil {
		t.Scaling = &runpb.RevisionScaling{}
	}
	if t.GetScaling().GetMaxInstanceCount() == 0 {
		t.Scaling.MaxInstanceCount = max(defaultMaxInstances, t.GetScaling().GetMinInstanceCount())
	}
	if a := t.GetVpcAccess(); a != nil && a.GetEgress() == runpb.VpcAccess_VPC_EGRESS_UNSPECIFIED {
		a.Egress = runpb.VpcAccess_PRIVATE_RANGES_ONLY
	}
	for _, c := range t.GetContainers() {
		fillContainer(c, len(t.GetContainers()) == 1)
	}
	if t.GetMaxInstanceRequestConcurrency() == 0 {
		t.MaxInstanceRequestConcurrency = defaultConcurrency
		if hasFractionalCPU(t) {
			t.MaxInstanceRequestConcurrency = 1
		}
	}
}

func fillContainer(c *runpb.Container, only bool) {
	if c.GetResources() == nil {
		c.Resources = &runpb.ResourceRequirements{CpuIdle: true}
	}
	if c.GetResources().GetLimits() == nil {
		c.Resources.Limits = map[string]string{}
	}
	for key, value := range map[string]string{"cpu": defaultCPU, "memory": defaultMemory} {
		if c.Resources.Limits[key] == "" {
			c.Resources.Limits[key] = value
		}
	}
	if only && len(c.GetPorts()) == 0 {
		c.Ports = []*runpb.ContainerPort{{}}
	}
	for _, p := range c.GetPorts() {
		if p.GetContainerPort() == 0 {
			p.ContainerPort = defaultPort
		}
		if p.GetName() == "" {
			p.Name = defaultPortName
		}
	}
	var port int32 // none in a sidecar
	if len(c.GetPorts()) > 0 {
		port = c.GetPorts()[0].GetContainerPort()
	}
	if c.GetStartupProbe() == nil && port != 0 {
		// One long attempt: the port must open within four minutes.
		c.StartupProbe = &runpb.Probe{
			TimeoutSeconds: 240, PeriodSeconds: 240, FailureThreshold: 1,
			ProbeType: &runpb.Probe_TcpSocket{TcpSocket: &runpb.TCPSocketAction{}},
		}
	}
	for _, p := range []*runpb.Probe{c.GetStartupProbe(), c.GetLivenessProbe(), c.GetReadinessProbe()} {
		fillProbe(p, port)
	}
}

func fillProbe(p *runpb.Probe, port int32) {
	if p == nil {
		return
	}
	orDefault(&p.TimeoutSeconds, defaultProbeTimeout)
	orDefault(&p.PeriodSeconds, defaultProbePeriod)
	orDefault(&p.FailureThreshold, defaultProbeThreshold)
	switch kind := p.GetProbeType().(type) {
	case *runpb.Probe_HttpGet:
		if kind.HttpGet.GetPath() == "" {
			kind.HttpGet.Path = defaultProbePath
		}
		orDefault(&kind.HttpGet.Port, port)
	case *runpb.Probe_TcpSocket:
		orDefault(&kind.TcpSocket.Port, port)
	case *runpb.Probe_Grpc:
		orDefault(&kind.Grpc.Port, port)
	}
}

func orDefault(value *int32, otherwise int32) {
	if *value == 0 {
		*value = otherwise
	}
}
