package instance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/instance"
	"github.com/berth-mcp/berth/internal/localcloud/instance/imagetest"
)

// sidecar listens on a port of its own, and is ready when it does.
func sidecar(t *testing.T, image *instance.Image, name string) (c instance.Container, port int) {
	t.Helper()
	port = imagetest.Port(t)
	return instance.Container{
		Name: name, Image: image, Env: map[string]string{"PORT": strconv.Itoa(port)},
		Startup: &instance.Probe{Port: port, Deadline: patience},
	}, port
}

// report is what a container tells about itself.
type report struct {
	PID       int
	Args, Env []string
	Dir       string
}

func ask(t *testing.T, address string) (r report) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + address + "/")
	require.NoError(t, err)
	defer res.Body.Close()
	require.NoError(t, json.NewDecoder(res.Body).Decode(&r))
	return r
}

func (r report) env(name string) string {
	for _, variable := range r.Env {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

func TestContainersStartAfterThoseTheyDependOnAndEndTogether(t *testing.T) {
	image := program(t)
	var out lines
	first, firstPort := sidecar(t, image, "first")
	second, secondPort := sidecar(t, image, "second")
	first.Args, second.Args, second.DependsOn = []string{"1"}, []string{"2"}, []string{"first"}
	closed := make(chan struct{})
	i := start(t, instance.Spec{
		Service: "acme", Output: out.add, Closing: func() { close(closed) },
		Containers: []instance.Container{
			{Name: "server", Image: image, Serves: true, Args: []string{"3"}, DependsOn: []string{"first", "second"}},
			second, first,
		},
	})
	assert.Equal(t, []string{
		"stdout: program started with 1", "stdout: program started with 2", "stdout: program started with 3",
	}, out.get())
	server := ask(t, i.Addr())
	assert.Equal(t, i.PID(), server.PID)
	assert.Equal(t, []string{"3"}, server.Args)
	agent := ask(t, fmt.Sprintf("127.0.0.1:%d", firstPort))
	assert.Equal(t, strconv.Itoa(firstPort), agent.env("PORT"), "a sidecar's PORT is what its config says")
	assert.Equal(t, "acme", agent.env("K_SERVICE"))
	assert.NotEqual(t, server.env("HOME"), agent.env("HOME"))

	i.Stop(t.Context())
	gone(t, i)
	for _, port := range []int{firstPort, secondPort} {
		assert.False(t, serves(fmt.Sprintf("127.0.0.1:%d", port)))
	}
	assert.NoDirExists(t, filepath.Dir(server.env("HOME")))
	<-closed
}

func TestAContainerThatEndsTakesTheInstanceWithIt(t *testing.T) {
	image := program(t)
	agent, port := sidecar(t, image, "agent")
	i := start(t, instance.Spec{Containers: []instance.Container{{Name: "server", Image: image, Serves: true}, agent}})
	_, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(fmt.Sprintf("http://127.0.0.1:%d/die", port))
	require.Error(t, err)
	gone(t, i)
	assert.Equal(t, "container agent: exit status 4", i.Ending())
}

func TestASidecarThatDoesNotStartFailsTheInstance(t *testing.T) {
	image := program(t)
	server := instance.Container{Name: "server", Image: image, Serves: true, DependsOn: []string{"agent"}}
	for name, tt := range map[string]struct {
		change func(*instance.Container)
		says   []string
	}{
		"one that ends":            {func(c *instance.Container) { c.Env["MODE"] = "exit" }, []string{"container agent failed its startup probe", "exit status 3", "the reason why I end"}},
		"one that listens nowhere": {func(c *instance.Container) { c.Env["MODE"], c.Startup.Deadline = "deaf", 300*time.Millisecond }, []string{"did not listen within 300ms"}},
		"one that is not there":    {func(c *instance.Container) { c.Command = []string{"/none"} }, []string{"is not a program in the image"}},
	} {
		t.Run(name, func(t *testing.T) {
			homes := t.TempDir()
			t.Setenv("TMPDIR", homes)
			agent, _ := sidecar(t, image, "agent")
			tt.change(&agent)
			closed := 0
			_, err := instance.Start(t.Context(), instance.Spec{
				Containers: []instance.Container{server, agent}, Closing: func() { closed++ },
			})
			for _, part := range tt.says {
				require.ErrorContains(t, err, part)
			}
			assert.Equal(t, 1, closed)
			left, err := os.ReadDir(homes)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

func TestASpecThatCannotBeIsRefused(t *testing.T) {
	image := program(t)
	one := func(name string, needs ...string) instance.Container {
		return instance.Container{Name: name, Image: image, DependsOn: needs}
	}
	serving := instance.Container{Name: "s", Image: image, Serves: true}
	for says, containers := range map[string][]instance.Container{
		"0 containers serve":       {one("a")},
		"2 containers serve":       {serving, {Name: "t", Image: image, Serves: true}},
		`container "a" is there`:   {serving, one("a"), one("a")},
		`depends on "b", which`:    {serving, one("a", "b")},
		"each other in a circle":   {serving, one("a", "b"), one("b", "a")},
		`mounts "v" at /v, which `: {serving, {Name: "a", Image: image, Mounts: map[string]string{"/v": "v"}}},
	} {
		_, err := instance.Start(t.Context(), instance.Spec{Containers: containers})
		assert.ErrorContains(t, err, says)
	}
}

func TestVolumesAreFoundByWhateverNamesTheirPath(t *testing.T) {
	spec := alone(instance.Container{
		Image: program(t),
		Args:  []string{"--key=/secrets/key", "/secrets", "/secretsNot/key", "a/secrets/key"},
		Env: map[string]string{
			"KEY": "/secrets/key", "URL": "file:///secrets/key", "LIST": "/usr:/secrets/key:/scratch", "OTHER": "/secret",
			"HOME": "/scratch",
		},
		Mounts: map[string]string{"/secrets": "keys", "/secrets/deep/": "deep", "/scratch": "scratch"},
	})
	spec.Containers[0].Env["DEEP"] = "/secrets/deep/x"
	spec.Volumes = map[string]instance.Volume{
		"keys":    {Files: []instance.File{{Path: "key", Content: []byte("hunter2"), Mode: 0o400}, {Path: "sub/key", Content: []byte("x"), Mode: 0o444}}},
		"deep":    {Files: []instance.File{{Path: "x", Content: []byte("deep"), Mode: 0o444}}},
		"scratch": {},
	}
	i := start(t, spec)
	got := ask(t, i.Addr())

	key := got.env("KEY")
	content, err := os.ReadFile(key)
	require.NoError(t, err)
	assert.Equal(t, "hunter2", string(content))
	info, err := os.Stat(key)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o400), info.Mode())
	dir := filepath.Dir(key)
	assert.FileExists(t, filepath.Join(dir, "sub", "key"))
	assert.Equal(t, []string{"--key=" + key, dir, "/secretsNot/key", "a/secrets/key"}, got.Args)
	assert.Equal(t, "file://"+key, got.env("URL"))
	assert.True(t, strings.HasPrefix(got.env("LIST"), "/usr:"+key+":/"), got.env("LIST"))
	assert.Equal(t, "/secret", got.env("OTHER"))
	content, err = os.ReadFile(got.env("DEEP"))
	require.NoError(t, err)
	assert.Equal(t, "deep", string(content))
	assert.NotContains(t, got.env("HOME"), "volumes", "what the platform sets is its own")

	for at := dir; at != os.TempDir(); at = filepath.Dir(at) {
		info, err := os.Stat(at)
		require.NoError(t, err)
		if strings.HasPrefix(filepath.Base(at), "localcloud-instance-") {
			assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "nobody else's to read")
			break
		}
	}
	i.Stop(t.Context())
	assert.NoFileExists(t, key)
}

func TestAFileThatLeavesItsVolumeIsRefused(t *testing.T) {
	spec := alone(instance.Container{Image: program(t)})
	spec.Volumes = map[string]instance.Volume{"v": {Files: []instance.File{{Path: "../../escaped", Mode: 0o444}}}}
	_, err := instance.Start(t.Context(), spec)
	require.ErrorContains(t, err, "escape")
}

func TestAFailingLivenessProbeEndsTheInstance(t *testing.T) {
	image := program(t)
	healthy := instance.Liveness{Probe: instance.Probe{HTTPPath: "/"}, Period: 10 * time.Millisecond, Failures: 2}
	for name, probe := range map[string]instance.Probe{
		"HTTP": {HTTPPath: "/401"}, "TCP": {Port: imagetest.Port(t)}, "GRPC": {GRPC: true},
	} {
		t.Run(name, func(t *testing.T) {
			failing := healthy
			failing.Probe = probe
			i := start(t, alone(instance.Container{Image: image, Liveness: &failing}))
			gone(t, i)
			assert.Contains(t, i.Output(), "LIVENESS "+name+" probe failed 2 times consecutively")
		})
	}
	t.Run("and one that is answered leaves it alone", func(t *testing.T) {
		patient := healthy
		patient.Attempt = patience // a busy machine may take longer than a second for an answer
		var asked atomic.Int32
		spec := alone(instance.Container{Image: image, Liveness: &patient, Env: map[string]string{"LOG": "1"}})
		spec.Output = func(_, _, line string) {
			if strings.Contains(line, "GET /") {
				asked.Add(1)
			}
		}
		i := start(t, spec)
		require.Eventually(t, func() bool { return asked.Load() > 5 }, patience, tick)
		assert.Equal(t, i.PID(), ask(t, i.Addr()).PID)
	})
	t.Run("it waits for its delay", func(t *testing.T) {
		failing := instance.Liveness{Probe: instance.Probe{HTTPPath: "/401"}, Delay: time.Hour}
		i := start(t, alone(instance.Container{Image: image, Liveness: &failing}))
		ask(t, i.Addr())
		i.Stop(context.Background())
	})
}
