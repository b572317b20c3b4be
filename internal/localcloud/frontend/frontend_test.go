package frontend_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/berth-mcp/berth/internal/localcloud/frontend"
	"github.com/berth-mcp/berth/internal/localcloud/identity"
	"github.com/berth-mcp/berth/internal/localcloud/instance"
	"github.com/berth-mcp/berth/internal/localcloud/instance/imagetest"
	"github.com/berth-mcp/berth/internal/logtest"
)

const (
	issuer   = "http://127.0.0.1:4001"
	acme     = "projects/project/locations/europe-west1/services/acme"
	globex   = "projects/project/locations/europe-west1/services/globex"
	patience = time.Minute
	tick     = 5 * time.Millisecond
)

// registry and unpacked are those of all tests.
var registry, unpacked string

func TestMain(m *testing.M) { os.Exit(imagetest.Main(m, &registry, &unpacked)) }

// world is a front end with a directory, a policy that lets group:team in, and
// an image. Ana is in the team, Bob is not.
type world struct {
	*frontend.FrontEnd
	t         *testing.T
	directory *identity.Directory
	image     string
	log       *logtest.Buffer
	ahead     *atomic.Int64 // nanoseconds by which the directory's clock is

	mu      sync.Mutex
	policy  map[string][]string
	secrets map[string]string // "ACCOUNT VERSION" to the value
}

func newWorld(t *testing.T, o frontend.Options) *world {
	t.Helper()
	ahead := new(atomic.Int64)
	directory, err := identity.New(identity.Options{
		Issuer: issuer,
		Now:    func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	require.NoError(t, err)
	require.NoError(t, directory.AddPerson("ana@example.com"))
	require.NoError(t, directory.AddPerson("bob@example.com"))
	require.NoError(t, directory.AddServiceAccount("agent@project.iam.gserviceaccount.com"))
	require.NoError(t, directory.AddGroup("team@example.com"))
	require.NoError(t, directory.AddMember("team@example.com", "ana@example.com"))
	images, err := instance.NewImages(instance.ImagesOptions{Registry: registry, Dir: unpacked})
	require.NoError(t, err)

	w := &world{
		t: t, directory: directory, log: &logtest.Buffer{}, ahead: ahead,
		image:  imagetest.Push(t, registry, imagetest.Program(t)),
		policy: map[string][]string{acme: {"group:team@example.com"}},
	}
	o.Directory, o.Images, o.Policy = directory, images, w.members
	o.Secret, o.Projects = w.secret, map[string]int64{"project": 4711}
	o.Logger = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.FrontEnd, err = frontend.New(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, w.Close(context.Background()))
		if t.Failed() {
			t.Log(w.log)
		}
	})
	return w
}

func (w *world) members(service string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.policy[service]
}

// secret gives a value to the account that it is for.
func (w *world) secret(account, version string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if value, ok := w.secrets[account+" "+version]; ok {
		return []byte(value), nil
	}
	return nil, fmt.Errorf("%s may not read %s", account, version)
}

func (w *world) grant(service string, members ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.policy[service] = members
}

// service returns a service to deploy, with these variables.
func (w *world) service(name string, env ...string) *runpb.Service {
	container := &runpb.Container{Image: w.image}
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		container.Env = append(container.Env, &runpb.EnvVar{Name: name, Values: &runpb.EnvVar_Value{Value: value}})
	}
	return &runpb.Service{Name: name, Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{container}}}
}

func (w *world) deploy(svc *runpb.Service, revision string) string {
	w.t.Helper()
	url, err := w.Deploy(w.t.Context(), svc, revision)
	require.NoError(w.t, err)
	return url
}

func (w *world) token(email, audience string) string {
	w.t.Helper()
	token, err := w.directory.IDToken(email, audience)
	require.NoError(w.t, err)
	return token
}

// as returns a header with a token of a person's own login.
func (w *world) as(email string) http.Header {
	return http.Header{"Authorization": {"Bearer " + w.token(email, w.directory.ClientID())}}
}

// response is an answer read to its end.
type response struct {
	*http.Response
	body string
}

// seen is what the instance saw of the request.
type seen struct {
	PID                            int
	Method, URI, Host, Proto, Body string
	Header                         http.Header
	Env                            []string
}

func (r response) seen(t *testing.T) seen {
	t.Helper()
	require.Equal(t, http.StatusOK, r.StatusCode, r.body)
	var s seen
	require.NoError(t, json.Unmarshal([]byte(r.body), &s))
	return s
}

// client keeps no connections, so that tests leave none.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func send(t *testing.T, c *http.Client, method, url string, header http.Header, body io.Reader) (response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	if header != nil {
		req.Header = header.Clone()
	}
	res, err := c.Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return response{res, string(content)}, err
}

func get(t *testing.T, url string, header http.Header) response {
	t.Helper()
	res, err := send(t, client, http.MethodGet, url, header, nil)
	require.NoError(t, err)
	return res
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func serves(url string) bool {
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, tick, what)
}

func TestNewNamesTheOptionsThatAreMissing(t *testing.T) {
	_, err := frontend.New(frontend.Options{})
	require.ErrorContains(t, err, "Directory, Images, Policy, Projects, Secret")
}

func TestAServiceKeepsItsAddressOverRevisions(t *testing.T) {
	w := newWorld(t, frontend.Options{Env: map[string]string{"MACHINE": "m", "SERVICE": "m"}})
	first := w.deploy(w.service(acme, "N=1", "SERVICE=s"), "acme-00001-abc")
	before := get(t, first+"/", w.as("ana@example.com")).seen(t)
	assert.Subset(t, before.Env, []string{
		"N=1", "MACHINE=m", "SERVICE=s", "K_SERVICE=acme", "K_CONFIGURATION=acme", "K_REVISION=acme-00001-abc",
	})

	second := w.deploy(w.service(acme, "N=2"), acme+"/revisions/acme-00002-def")
	assert.Equal(t, first, second)
	after := get(t, second+"/", w.as("ana@example.com")).seen(t)
	assert.Subset(t, after.Env, []string{"N=2", "K_REVISION=acme-00002-def"})
	eventually(t, "the former instance ends", func() bool { return !alive(before.PID) })
	eventually(t, "it was told", func() bool { return strings.Contains(w.log.String(), "got SIGTERM") })
	eventually(t, "it is no instance any more", func() bool { return len(w.Instances(acme)) == 1 })
	assert.Equal(t, after.PID, w.Instances(acme)[0].PID)
}

func TestAFailedRevisionLeavesTheFormerServing(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	pid := get(t, url+"/", w.as("ana@example.com")).seen(t).PID

	same, err := w.Deploy(t.Context(), w.service(acme, "MODE=exit"), "acme-00002-def")
	require.ErrorContains(t, err, "The user-provided container failed to start and listen on the port")
	require.ErrorContains(t, err, "the reason why I end")
	require.ErrorContains(t, err, acme)
	assert.Equal(t, url, same)
	assert.Equal(t, pid, get(t, url+"/", w.as("ana@example.com")).seen(t).PID)
}

func TestAFirstRevisionThatFailsLeavesAnAddressThatSaysSo(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url, err := w.Deploy(t.Context(), w.service(acme, "MODE=exit"), "acme-00001-abc")
	require.Error(t, err)
	res := get(t, url+"/", w.as("ana@example.com"))
	assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	assert.Equal(t, http.StatusForbidden, get(t, url+"/", w.as("bob@example.com")).StatusCode, "who may not call learns nothing of it")

	assert.Equal(t, url, w.deploy(w.service(acme), "acme-00002-def"))
	get(t, url+"/", w.as("ana@example.com")).seen(t)
}

func TestAnImageThatIsNotThereFailsTheDeployment(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	svc := w.service(acme)
	svc.Template.Containers[0].Image = w.image[:strings.Index(w.image, "@")] + "@sha256:" + strings.Repeat("0", 64)
	_, err := w.Deploy(t.Context(), svc, "acme-00001-abc")
	require.ErrorContains(t, err, "pulling image")
}

func TestDeployingAServingRevisionAgainChangesTheServicesSettingsAlone(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	svc := w.service(acme)
	url := w.deploy(svc, "acme-00001-abc")
	custom := http.Header{"Authorization": {"Bearer " + w.token("ana@example.com", "https://custom.example")}}
	require.Equal(t, http.StatusUnauthorized, get(t, url+"/", custom).StatusCode)
	pid := w.Instances(acme)[0].PID

	svc.CustomAudiences = []string{"https://custom.example"}
	svc.Scaling = &runpb.ServiceScaling{MinInstanceCount: 2}
	assert.Equal(t, url, w.deploy(svc, "acme-00001-abc"))
	assert.Equal(t, pid, get(t, url+"/", custom).seen(t).PID)
	eventually(t, "a second instance", func() bool { return len(w.Instances(acme)) == 2 })
}

func TestAServiceThatIsNotForTheInternetIsNotFound(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	svc := w.service(acme)
	url := w.deploy(svc, "acme-00001-abc")
	get(t, url+"/", w.as("ana@example.com")).seen(t)
	for name, hide := range map[string]func(*runpb.Service){
		"inside alone":           func(s *runpb.Service) { s.Ingress = runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_ONLY },
		"behind a load balancer": func(s *runpb.Service) { s.Ingress = runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER },
		"without a default URL":  func(s *runpb.Service) { s.DefaultUriDisabled = true },
	} {
		t.Run(name, func(t *testing.T) {
			hidden := proto.CloneOf(svc)
			hide(hidden)
			w.deploy(hidden, "acme-00001-abc")
			res := get(t, url+"/", w.as("ana@example.com"))
			assert.Equal(t, http.StatusNotFound, res.StatusCode)
			assert.Contains(t, res.body, "Error: Page not found")
			assert.Equal(t, http.StatusNotFound, get(t, url+"/", nil).StatusCode, "nor does it say that a token would help")
			w.deploy(svc, "acme-00001-abc")
			get(t, url+"/", w.as("ana@example.com")).seen(t)
		})
	}
}

func TestRemoveLeavesNothingOfAServiceAndOthersAlone(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	w.grant(globex, "group:team@example.com")
	url, other := w.deploy(w.service(acme), "acme-00001-abc"), w.deploy(w.service(globex), "globex-00001-abc")
	pid := w.Instances(acme)[0].PID

	require.NoError(t, w.Remove(t.Context(), acme))
	assert.False(t, alive(pid))
	assert.False(t, serves(url))
	assert.Empty(t, w.Instances(acme))
	require.NoError(t, w.Remove(t.Context(), acme), "removing it again is no error")
	get(t, other+"/", w.as("ana@example.com")).seen(t)
}

func TestRemoveGivesUpADeploymentAtWork(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	failed := make(chan error, 1)
	go func() {
		_, err := w.Deploy(t.Context(), w.service(acme, "MODE=deaf"), "acme-00001-abc")
		failed <- err
	}()
	eventually(t, "the instance starts", func() bool { return strings.Contains(w.log.String(), "I do not listen") })
	require.NoError(t, w.Remove(t.Context(), acme))
	require.ErrorContains(t, <-failed, "removed")
}

func TestCloseEndsEverythingEvenWhatDoesNotWantTo(t *testing.T) {
	homes := filepath.Join(t.TempDir(), "homes")
	require.NoError(t, os.Mkdir(homes, 0o700))
	t.Setenv("TMPDIR", homes)
	w := newWorld(t, frontend.Options{})
	w.grant(globex, "group:team@example.com")
	urls := []string{w.deploy(w.service(acme, "MODE=stubborn"), "acme-00001-abc"), w.deploy(w.service(globex), "globex-00001-abc")}
	pids := []int{w.Instances(acme)[0].PID, w.Instances(globex)[0].PID}
	stream, err := client.Do(request(t, urls[0]+"/stream", w.as("ana@example.com")))
	require.NoError(t, err)
	defer stream.Body.Close()

	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no grace
	require.NoError(t, w.Close(ctx))
	for i := range urls {
		assert.False(t, alive(pids[i]))
		assert.False(t, serves(urls[i]))
	}
	left, err := os.ReadDir(homes)
	require.NoError(t, err)
	assert.Empty(t, left, "the instances' own directories are gone")
	_, err = io.ReadAll(stream.Body)
	require.Error(t, err, "the stream was cut")
	_, err = w.Deploy(t.Context(), w.service(acme), "acme-00002-def")
	require.ErrorContains(t, err, "closed")
}

func request(t *testing.T, url string, header http.Header) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if header != nil {
		req.Header = header.Clone()
	}
	return req
}

// withTimeout sets the request timeout.
func withTimeout(svc *runpb.Service, d time.Duration) *runpb.Service {
	svc.Template.Timeout = durationpb.New(d)
	return svc
}

// hidden is the unpacked program, moved away.
type hidden struct{ restore func() }

func hideProgram(t *testing.T) hidden {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(unpacked, "sha256-*", "app", "program"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.NoError(t, os.Rename(found[0], found[0]+".hidden"))
	restore := sync.OnceFunc(func() { assert.NoError(t, os.Rename(found[0]+".hidden", found[0])) })
	t.Cleanup(restore)
	return hidden{restore: restore}
}
