package frontend

import (
	"net/http"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/berth-mcp/berth/internal/localcloud/instance"
)

const serviceA = "projects/p/locations/l/services/a"

func TestASpecHasCloudRunsDefaults(t *testing.T) {
	got, err := readSpec(&runpb.Service{Name: serviceA, Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: "i"}}}})
	require.NoError(t, err)
	assert.Equal(t, settings{max: 100}, got.settings)
	assert.Equal(t, template{
		containers: []container{{
			image: "i", secrets: map[string]string{},
			spec: instance.Container{Serves: true, Env: map[string]string{}, Mounts: map[string]string{}},
		}},
		timeout: 5 * time.Minute, concurrency: 80,
	}, got.template)
}

func TestASpecHasWhatTheServiceSays(t *testing.T) {
	got, err := readSpec(&runpb.Service{
		Name: serviceA, InvokerIamDisabled: true, CustomAudiences: []string{"x"},
		Scaling: &runpb.ServiceScaling{MinInstanceCount: 2},
		Template: &runpb.RevisionTemplate{
			ServiceAccount: "a@p.iam.gserviceaccount.com",
			Volumes: []*runpb.Volume{
				{Name: "keys", VolumeType: &runpb.Volume_Secret{Secret: &runpb.SecretVolumeSource{Secret: "key", Items: []*runpb.VersionToPath{{Path: "one", Version: "1", Mode: 0o400}, {Path: "two"}}}}},
				{Name: "whole", VolumeType: &runpb.Volume_Secret{Secret: &runpb.SecretVolumeSource{Secret: "projects/q/secrets/key", DefaultMode: 0o440}}},
				{Name: "shared", VolumeType: &runpb.Volume_EmptyDir{EmptyDir: &runpb.EmptyDirVolumeSource{}}},
			},
			Timeout: durationpb.New(time.Hour), MaxInstanceRequestConcurrency: 7, SessionAffinity: true,
			Scaling: &runpb.RevisionScaling{MinInstanceCount: 1, MaxInstanceCount: 3},
			Containers: []*runpb.Container{{
				Image: "i", Command: []string{"c"}, Args: []string{"a"}, WorkingDir: "/w",
				Env: []*runpb.EnvVar{
					{Name: "N", Values: &runpb.EnvVar_Value{Value: "v"}},
					{Name: "S", Values: &runpb.EnvVar_ValueSource{ValueSource: &runpb.EnvVarSource{SecretKeyRef: &runpb.SecretKeySelector{Secret: "key", Version: "3"}}}},
				},
				VolumeMounts:  []*runpb.VolumeMount{{Name: "keys", MountPath: "/keys"}},
				LivenessProbe: &runpb.Probe{InitialDelaySeconds: 5, TimeoutSeconds: 1, PeriodSeconds: 6, FailureThreshold: 7, ProbeType: &runpb.Probe_Grpc{Grpc: &runpb.GRPCAction{Port: 9000, Service: "x"}}},
				Ports:         []*runpb.ContainerPort{{ContainerPort: 9000}},
				StartupProbe: &runpb.Probe{
					InitialDelaySeconds: 1, TimeoutSeconds: 2, PeriodSeconds: 3, FailureThreshold: 4,
					ProbeType: &runpb.Probe_HttpGet{HttpGet: &runpb.HTTPGetAction{Port: 9000, HttpHeaders: []*runpb.HTTPHeader{{Name: "h", Value: "v"}}}},
				},
			}},
		},
	})
	require.NoError(t, err)
	assert.Equal(t, settings{open: true, audiences: []string{"x"}, min: 2, max: 3}, got.settings)
	assert.Equal(t, template{
		account: "a@p.iam.gserviceaccount.com", timeout: time.Hour, concurrency: 7, affinity: true,
		volumes: []volume{
			{"keys", []secretFile{{"one", "projects/p/secrets/key/versions/1", 0o400}, {"two", "projects/p/secrets/key/versions/latest", 0o444}}},
			{"whole", []secretFile{{"key", "projects/q/secrets/key/versions/latest", 0o440}}},
			{"shared", nil},
		},
		containers: []container{{
			image: "i", secrets: map[string]string{"S": "projects/p/secrets/key/versions/3"},
			spec: instance.Container{
				Serves: true, Command: []string{"c"}, Args: []string{"a"}, WorkingDir: "/w", Env: map[string]string{"N": "v"},
				Mounts:   map[string]string{"/keys": "keys"},
				Startup:  &instance.Probe{HTTPPath: "/", Headers: http.Header{"H": {"v"}}, Attempt: 2 * time.Second, Deadline: 13 * time.Second},
				Liveness: &instance.Liveness{Probe: instance.Probe{GRPC: true, GRPCService: "x", Attempt: time.Second}, Delay: 5 * time.Second, Period: 6 * time.Second, Failures: 7},
			},
		}},
	}, got.template)
}

func TestScalingCombinesTheServicesAndTheRevisions(t *testing.T) {
	none := int32(0)
	tests := []struct {
		name        string
		ofService   *runpb.ServiceScaling
		ofRevision  *runpb.RevisionScaling
		least, most int
	}{
		{"nothing said", nil, nil, 0, 100},
		{"the larger minimum", &runpb.ServiceScaling{MinInstanceCount: 2}, &runpb.RevisionScaling{MinInstanceCount: 1}, 2, 100},
		{"the smaller maximum", &runpb.ServiceScaling{MaxInstanceCount: 2}, &runpb.RevisionScaling{MaxInstanceCount: 3}, 0, 2},
		{"a minimum above the maximum", &runpb.ServiceScaling{MinInstanceCount: 5}, &runpb.RevisionScaling{MaxInstanceCount: 3}, 3, 3},
		{"a manual count of none", &runpb.ServiceScaling{ScalingMode: runpb.ServiceScaling_MANUAL, ManualInstanceCount: &none}, nil, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			least, most := scaling(&runpb.Service{Scaling: tt.ofService, Template: &runpb.RevisionTemplate{Scaling: tt.ofRevision}})
			assert.Equal(t, []int{tt.least, tt.most}, []int{least, most})
		})
	}
}

func TestWhatCannotBeHadHereIsRefusedAllAtOnce(t *testing.T) {
	_, err := readSpec(&runpb.Service{
		Name:    "a",
		Traffic: []*runpb.TrafficTarget{{}, {}},
		Template: &runpb.RevisionTemplate{
			Volumes: []*runpb.Volume{{Name: "v", VolumeType: &runpb.Volume_Gcs{}}},
			Containers: []*runpb.Container{{
				Env: []*runpb.EnvVar{{Name: "S", Values: &runpb.EnvVar_ValueSource{ValueSource: &runpb.EnvVarSource{}}}},
			}},
		},
	})
	for _, field := range []string{"name: ", "traffic: ", "template.volumes[0]: v is neither", "template.containers[0].env: S has neither"} {
		require.ErrorContains(t, err, field)
	}
	_, err = readSpec(&runpb.Service{Name: serviceA, Template: &runpb.RevisionTemplate{}})
	require.ErrorContains(t, err, "template.containers: there are none")
}

func TestWithSidecarsThereIsOneInstanceAtMost(t *testing.T) {
	got, err := readSpec(&runpb.Service{Name: serviceA, Template: &runpb.RevisionTemplate{
		Scaling: &runpb.RevisionScaling{MinInstanceCount: 2, MaxInstanceCount: 5},
		Containers: []*runpb.Container{
			{Name: "server", Ports: []*runpb.ContainerPort{{ContainerPort: 8080}}, DependsOn: []string{"agent"}},
			{Name: "agent", StartupProbe: &runpb.Probe{ProbeType: &runpb.Probe_TcpSocket{TcpSocket: &runpb.TCPSocketAction{Port: 8080}}}},
		},
	}})
	require.NoError(t, err)
	assert.Equal(t, []int{1, 1}, []int{got.settings.min, got.settings.max})
	server, agent := got.template.containers[0].spec, got.template.containers[1].spec
	assert.True(t, server.Serves)
	assert.Equal(t, []string{"agent"}, server.DependsOn)
	assert.False(t, agent.Serves)
	assert.Equal(t, 8080, agent.Startup.Port, "a sidecar's port is the one that it says")
}

func TestTraceKeepsTheClientsTraceInBothForms(t *testing.T) {
	const id, span = "0af7651916cd43dd8448eb211c80319c", "00000000000000ff"
	tests := []struct {
		name   string
		header http.Header
		want   http.Header
	}{
		{"from traceparent", http.Header{"Traceparent": {"00-" + id + "-" + span + "-01"}},
			http.Header{"Traceparent": {"00-" + id + "-" + span + "-01"}, cloudTraceHeader: {id + "/255;o=1"}}},
		{"both are there", http.Header{"Traceparent": {"00-" + id + "-" + span + "-00"}, cloudTraceHeader: {"x"}},
			http.Header{"Traceparent": {"00-" + id + "-" + span + "-00"}, cloudTraceHeader: {"x"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, id, trace(tt.header))
			assert.Equal(t, tt.want, tt.header)
		})
	}
	t.Run("from Google's header", func(t *testing.T) {
		header := http.Header{cloudTraceHeader: {id + "/1;o=1"}}
		assert.Equal(t, id, trace(header))
		assert.Regexp(t, "^00-"+id+"-[0-9a-f]{16}-00$", header.Get("Traceparent"))
	})
	t.Run("a malformed one is replaced", func(t *testing.T) {
		header := http.Header{"Traceparent": {"x"}}
		assert.Regexp(t, "^[0-9a-f]{32}$", trace(header))
		assert.Regexp(t, traceparent, header.Get("Traceparent"))
	})
}
