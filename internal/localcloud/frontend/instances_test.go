package frontend_test

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/frontend"
	"github.com/berth-mcp/berth/internal/localcloud/instance/imagetest"
)

const agentAccount = "agent@project.iam.gserviceaccount.com"

func secretVariable(name, secret, version string) *runpb.EnvVar {
	return &runpb.EnvVar{Name: name, Values: &runpb.EnvVar_ValueSource{ValueSource: &runpb.EnvVarSource{
		SecretKeyRef: &runpb.SecretKeySelector{Secret: secret, Version: version},
	}}}
}

// variable is what an instance has in its environment.
func (s seen) variable(name string) string {
	for _, one := range s.Env {
		if value, ok := strings.CutPrefix(one, name+"="); ok {
			return value
		}
	}
	return ""
}

func TestSecretsAreReadAsTheServicesOwnAccount(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	svc := w.service(acme, "KEY_FILE=/keys/key")
	svc.Template.ServiceAccount = agentAccount
	container := svc.Template.Containers[0]
	container.Env = append(container.Env, secretVariable("KEY", "key", "2"), secretVariable("OTHER", "projects/q/secrets/other", ""))
	svc.Template.Volumes = []*runpb.Volume{{Name: "keys", VolumeType: &runpb.Volume_Secret{Secret: &runpb.SecretVolumeSource{
		Secret: "key", Items: []*runpb.VersionToPath{{Path: "key", Version: "1", Mode: 0o400}},
	}}}}
	container.VolumeMounts = []*runpb.VolumeMount{{Name: "keys", MountPath: "/keys"}}

	_, err := w.Deploy(t.Context(), svc, "acme-00001-abc")
	for _, version := range []string{"projects/project/secrets/key/versions/1", "projects/project/secrets/key/versions/2", "projects/q/secrets/other/versions/latest"} {
		require.ErrorContains(t, err, agentAccount+" may not read "+version, "all that is missing at once")
	}

	w.mu.Lock()
	w.secrets = map[string]string{
		agentAccount + " projects/project/secrets/key/versions/1":     "one",
		agentAccount + " projects/project/secrets/key/versions/2":     "two",
		agentAccount + " projects/q/secrets/other/versions/latest":    "three",
		"another@p.iam.gserviceaccount.com projects/project/whatever": "no",
	}
	w.mu.Unlock()
	url := w.deploy(svc, "acme-00002-def")
	got := get(t, url+"/", w.as("ana@example.com")).seen(t)
	assert.Equal(t, "two", got.variable("KEY"))
	assert.Equal(t, "three", got.variable("OTHER"))
	content, err := os.ReadFile(got.variable("KEY_FILE"))
	require.NoError(t, err)
	assert.Equal(t, "one", string(content))
	assert.NotContains(t, w.log.String(), "two", "a secret is not logged")
}

func TestEachInstanceHasAMetadataServerOfItsOwn(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	w.grant(globex, "group:team@example.com")
	services := map[string]string{acme: agentAccount, globex: "other@project.iam.gserviceaccount.com"}
	require.NoError(t, w.directory.AddServiceAccount(services[globex]))
	hosts := map[string]bool{}
	for name, account := range services {
		svc := w.service(name)
		svc.Template.ServiceAccount = account
		url := w.deploy(svc, "r-00001-abc")
		host := get(t, url+"/", w.as("ana@example.com")).seen(t).variable("GCE_METADATA_HOST")
		assert.False(t, hosts[host])
		hosts[host] = true

		ask := func(path string) string {
			return get(t, "http://"+host+"/computeMetadata/v1/"+path, http.Header{"Metadata-Flavor": {"Google"}}).body
		}
		assert.Equal(t, account, ask("instance/service-accounts/default/email"))
		assert.Equal(t, "project", ask("project/project-id"))
		assert.Equal(t, "4711", ask("project/numeric-project-id"))
		assert.Equal(t, "projects/4711/regions/europe-west1", ask("instance/region"))
		claims, err := w.directory.VerifyIDToken(t.Context(), ask("instance/service-accounts/default/identity?audience=x"))
		require.NoError(t, err)
		assert.Equal(t, account, claims.Email)

		require.NoError(t, w.Remove(t.Context(), name))
		assert.False(t, serves("http://"+host), "it ends with its instance")
	}
}

// withAgent adds a sidecar that listens on a port of its own choice.
func withAgent(t *testing.T, w *world, svc *runpb.Service, env ...string) (*runpb.Service, int) {
	t.Helper()
	port := imagetest.Port(t)
	server := svc.Template.Containers[0]
	server.Name, server.DependsOn, server.Ports = "server", []string{"agent"}, []*runpb.ContainerPort{{ContainerPort: 8080}}
	agent := w.service(acme, append(env, "AT="+strconv.Itoa(port))...).Template.Containers[0]
	agent.Name, agent.Args = "agent", []string{"at", strconv.Itoa(port)}
	agent.StartupProbe = &runpb.Probe{
		TimeoutSeconds: 1, PeriodSeconds: 1, FailureThreshold: 60,
		ProbeType: &runpb.Probe_TcpSocket{TcpSocket: &runpb.TCPSocketAction{Port: int32(port)}},
	}
	svc.Template.Containers = append(svc.Template.Containers, agent)
	return svc, port
}

func TestASidecarIsReachedOnLocalhostAndReplacedWithItsServer(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	svc, port := withAgent(t, w, scaled(w.service(acme), 1, 4))
	url := w.deploy(svc, "acme-00001-abc")
	before := get(t, url+"/", w.as("ana@example.com")).seen(t)
	agent := "http://127.0.0.1:" + strconv.Itoa(port) + "/"
	beside := get(t, agent, nil).seen(t)
	assert.NotEqual(t, before.PID, beside.PID)
	assert.Equal(t, before.variable("GCE_METADATA_HOST"), beside.variable("GCE_METADATA_HOST"))
	assert.Len(t, w.Instances(acme), 1, "the machine has one such port")

	w.deploy(svc, "acme-00002-def")
	assert.False(t, alive(beside.PID), "it made room for the next one")
	after := get(t, agent, nil).seen(t)
	assert.Equal(t, "acme-00002-def", after.variable("K_REVISION"))

	broken, _ := withAgent(t, w, w.service(acme), "MODE=exit")
	_, err := w.Deploy(t.Context(), broken, "acme-00003-ghi")
	require.ErrorContains(t, err, "container agent failed its startup probe")
	again := get(t, url+"/", w.as("ana@example.com")).seen(t)
	assert.Equal(t, "acme-00002-def", again.variable("K_REVISION"), "the former goes on serving")
}

func TestAnInstanceThatFailsItsLivenessProbeIsReplaced(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	svc := w.service(acme)
	svc.Template.Containers[0].LivenessProbe = &runpb.Probe{
		TimeoutSeconds: 1, PeriodSeconds: 1, FailureThreshold: 1, ProbeType: &runpb.Probe_HttpGet{HttpGet: &runpb.HTTPGetAction{Path: "/401", Port: 8080}},
	}
	url := w.deploy(svc, "acme-00001-abc")
	require.Eventually(t, func() bool {
		get(t, url+"/", w.as("ana@example.com")) // starts another, where the last one has ended
		return strings.Count(w.log.String(), "LIVENESS HTTP probe failed") > 1
	}, patience, 10*time.Millisecond)
}
