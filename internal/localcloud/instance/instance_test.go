package instance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/instance"
	"github.com/berth-mcp/berth/internal/localcloud/instance/imagetest"
)

const (
	patience = time.Minute
	tick     = 10 * time.Millisecond
)

// registry and unpacked are those of all tests.
var registry, unpacked string

// TestMain doubles as a parent that is killed: see
// TestAnInstanceDoesNotOutliveAKilledParent.
func TestMain(m *testing.M) {
	if root := os.Getenv("TEST_PARENT_IMAGE"); root != "" {
		parent(root)
	}
	os.Exit(imagetest.Main(m, &registry, &unpacked))
}

func program(t *testing.T) *instance.Image {
	t.Helper()
	images, err := instance.NewImages(instance.ImagesOptions{Registry: registry, Dir: unpacked})
	require.NoError(t, err)
	image, err := images.Pull(t.Context(), imagetest.Push(t, registry, imagetest.Program(t, "FROM_IMAGE=image", "BOTH=image", "HOME=/root", "PORT=1")))
	require.NoError(t, err)
	return image
}

// alone is an instance of one container.
func alone(c instance.Container) instance.Spec {
	c.Serves = true
	return instance.Spec{Containers: []instance.Container{c}}
}

// lines collects a program's output.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(_, stream, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, stream+": "+line)
}

func (l *lines) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.all...)
}

func start(t *testing.T, spec instance.Spec) *instance.Instance {
	t.Helper()
	i, err := instance.Start(t.Context(), spec)
	require.NoError(t, err)
	t.Cleanup(func() { i.Stop(context.Background()) })
	return i
}

func serves(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func gone(t *testing.T, i *instance.Instance) {
	t.Helper()
	<-i.Done()
	assert.False(t, serves(i.Addr()), "still listens")
	assert.ErrorIs(t, syscall.Kill(i.PID(), 0), syscall.ESRCH)
}

func TestAnInstanceHasThePlatformsVariablesAndNoneOfTheHosts(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "x")
	var out lines
	i := start(t, instance.Spec{
		Service: "server", Revision: "server-00001-abc", Output: out.add,
		Containers: []instance.Container{{
			Image: program(t), Serves: true,
			Env: map[string]string{"BOTH": "service", "FROM_SERVICE": "service", "K_SERVICE": "forged", "PORT": "2"},
		}},
	})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + i.Addr() + "/")
	require.NoError(t, err)
	defer res.Body.Close()
	var report struct {
		Env, Args []string
		Dir       string
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&report))
	env := map[string]string{}
	for _, variable := range report.Env {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	_, port, err := net.SplitHostPort(i.Addr())
	require.NoError(t, err)
	home := env["HOME"]
	assert.NotEqual(t, "/root", home)
	assert.DirExists(t, home)
	assert.Equal(t, map[string]string{
		"PORT": port, "K_SERVICE": "server", "K_REVISION": "server-00001-abc", "K_CONFIGURATION": "server",
		"FROM_IMAGE": "image", "FROM_SERVICE": "service", "BOTH": "service",
		"HOME": home, "TMPDIR": home, "GCE_METADATA_HOST": "127.0.0.1:9", "PATH": env["PATH"], "PWD": report.Dir,
	}, withPWD(env, report.Dir))
	assert.NotContains(t, env, "SECRET_OF_THE_HOST")
	assert.Equal(t, []string{"from", "image"}, report.Args)
	assert.Equal(t, "data", filepath.Base(report.Dir))

	i.Stop(t.Context())
	gone(t, i)
	assert.Equal(t, "exit status 0", i.Ending())
	assert.NoDirExists(t, home)
	assert.Equal(t, []string{"stdout: program started with from image", "stdout: got SIGTERM"}, out.get())
}

// withPWD levels what some systems add.
func withPWD(env map[string]string, dir string) map[string]string {
	env["PWD"] = dir
	return env
}

func TestTheContainersCommandReplacesTheImages(t *testing.T) {
	image := program(t)
	tests := []struct {
		name          string
		command, args []string
		workingDir    string
		want          string
	}{
		{"args replace the image's arguments", nil, []string{"a"}, "", "program started with a"},
		{"a command drops the image's arguments", []string{"/app/program"}, nil, "", "program started with "},
		{"command and args", []string{"/app/program", "x"}, []string{"y"}, "", "program started with x y"},
		{"a path relative to the working directory", []string{"./program"}, nil, "/app", "program started with "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := start(t, alone(instance.Container{Image: image, Command: tt.command, Args: tt.args, WorkingDir: tt.workingDir}))
			assert.Equal(t, tt.want, strings.Split(i.Output(), "\n")[0])
		})
	}
	t.Run("a bare name is looked up in the image's PATH", func(t *testing.T) {
		start(t, alone(instance.Container{Image: image, Command: []string{"program"}, Env: map[string]string{"PATH": "/bin:/app"}}))
	})
	t.Run("a program of the host is not one of the image", func(t *testing.T) {
		for _, program := range []string{"/bin/sh", "sh", "../../../bin/sh"} {
			_, err := instance.Start(t.Context(), alone(instance.Container{Image: image, Command: []string{program}}))
			require.ErrorContains(t, err, "is not a program in the image")
		}
	})
	t.Run("an image without an entrypoint", func(t *testing.T) {
		_, err := instance.Start(t.Context(), alone(instance.Container{Image: &instance.Image{Root: t.TempDir(), Config: v1.Config{}}}))
		require.ErrorContains(t, err, "set the container's command")
	})
	t.Run("a file that may not be executed", func(t *testing.T) {
		root := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(root, "f"), nil, 0o600))
		_, err := instance.Start(t.Context(), alone(instance.Container{Image: &instance.Image{Root: root}, Command: []string{"/f"}}))
		require.ErrorIs(t, err, fs.ErrPermission)
	})
}

func TestAnInstanceThatDoesNotBecomeReadyFailsWithItsOutput(t *testing.T) {
	image := program(t)
	tests := []struct {
		name  string
		mode  string
		probe instance.Probe
		says  []string
	}{
		{"one that ends", "exit", instance.Probe{}, []string{"ended before it listened, with exit status 3", "the reason why I end"}},
		{"one that does not listen", "deaf", instance.Probe{Deadline: 300 * time.Millisecond}, []string{"did not listen within 300ms", "I do not listen"}},
		{"one whose HTTP probe is refused", "", instance.Probe{HTTPPath: "/401", Deadline: 300 * time.Millisecond}, []string{"did not listen within 300ms"}},
		{"one whose HTTP probe hangs", "", instance.Probe{HTTPPath: "/hang", Deadline: 300 * time.Millisecond}, []string{"did not listen within 300ms"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := instance.Start(t.Context(), alone(instance.Container{Image: image, Startup: &tt.probe, Env: map[string]string{"MODE": tt.mode}}))
			for _, part := range append(tt.says, "The user-provided container failed to start and listen on the port defined provided by the PORT=") {
				require.ErrorContains(t, err, part)
			}
		})
	}
	t.Run("an HTTP probe that is answered is ready", func(t *testing.T) {
		start(t, alone(instance.Container{Image: image, Startup: &instance.Probe{HTTPPath: "/x", Headers: http.Header{"A": {"b"}}}}))
	})
	t.Run("a start that is given up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		spec := alone(instance.Container{Image: image, Env: map[string]string{"MODE": "deaf"}})
		spec.Output = func(string, string, string) { cancel() } // once it runs
		_, err := instance.Start(ctx, spec)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestStopKillsWhatDoesNotEndInTime(t *testing.T) {
	image := program(t)
	stubborn := map[string]string{"MODE": "stubborn"}
	t.Run("after the grace", func(t *testing.T) {
		spec := alone(instance.Container{Image: image, Env: stubborn})
		spec.Grace = 100 * time.Millisecond
		i := start(t, spec)
		begin := time.Now()
		i.Stop(t.Context())
		assert.GreaterOrEqual(t, time.Since(begin), 100*time.Millisecond)
		gone(t, i)
		assert.Equal(t, "signal: killed", i.Ending())
	})
	t.Run("when the context ends", func(t *testing.T) {
		spec := alone(instance.Container{Image: image, Env: stubborn})
		spec.Grace = time.Hour // which the test would not outlive
		i := start(t, spec)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		i.Stop(ctx)
		gone(t, i)
	})
	t.Run("its children too", func(t *testing.T) {
		i := start(t, alone(instance.Container{Image: image, Env: map[string]string{"MODE": "parent"}}))
		i.Stop(t.Context()) // SIGTERM ends the parent alone
		require.Eventually(t, func() bool { return !serves(i.Addr()) }, patience, 10*time.Millisecond, "the child still listens")
	})
	t.Run("again, and at once", func(t *testing.T) {
		i := start(t, alone(instance.Container{Image: image}))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { i.Stop(context.Background()) })
		}
		wg.Wait()
		gone(t, i)
	})
}

func TestAKilledInstanceIsNoticed(t *testing.T) {
	i := start(t, alone(instance.Container{Image: program(t)}))
	require.NoError(t, syscall.Kill(i.PID(), syscall.SIGKILL))
	gone(t, i)
	assert.Equal(t, "signal: killed", i.Ending())
}

func TestInstancesStartedAtOnceHavePortsOfTheirOwn(t *testing.T) {
	image := program(t)
	var wg sync.WaitGroup
	addresses := make([]string, 6)
	for n := range addresses {
		wg.Go(func() {
			i, err := instance.Start(t.Context(), alone(instance.Container{Image: image}))
			if !assert.NoError(t, err) {
				return
			}
			addresses[n] = i.Addr()
			t.Cleanup(func() { i.Stop(context.Background()) })
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, address := range addresses {
		assert.False(t, seen[address], address)
		seen[address] = true
	}
}

func TestOutputIsBoundedAndCutIntoLines(t *testing.T) {
	// echo -n of the host would not do: the shell script is the image's.
	root := t.TempDir()
	script := "#!/bin/sh\n" +
		"i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done\n" +
		"head -c 100000 /dev/zero | tr '\\0' x; echo; printf 'no end'; exit 7\n"
	require.NoError(t, os.WriteFile(filepath.Join(root, "script"), []byte(script), 0o700))
	var out lines
	spec := alone(instance.Container{Image: &instance.Image{Root: root}, Command: []string{"/script"}})
	spec.Output = out.add
	_, err := instance.Start(t.Context(), spec)
	require.ErrorContains(t, err, "exit status 7")
	require.Len(t, out.get(), 202)
	assert.Equal(t, "stdout: line 0", out.get()[0])
	assert.Len(t, out.get()[200], len("stdout: ")+16<<10)
	assert.Equal(t, "stdout: no end", out.get()[201])
	assert.NotContains(t, err.Error(), "line 10\n")
	assert.ErrorContains(t, err, "line 199")
}

func TestAnInstanceDoesNotOutliveAKilledParent(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	homes := t.TempDir()
	cmd.Env = append(os.Environ(), "TEST_PARENT_IMAGE="+program(t).Root, "TMPDIR="+homes)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var address string
	_, err = fmt.Fscanln(stdout, &address)
	require.NoError(t, err)
	require.True(t, serves(address))

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return !serves(address) }, patience, 10*time.Millisecond, "the instance lives on")
	require.Eventually(t, func() bool {
		left, err := os.ReadDir(homes)
		return err == nil && len(left) == 0
	}, patience, 10*time.Millisecond, "its directory is left")
}

// parent starts an instance, says where, and waits to be killed.
func parent(root string) {
	i, err := instance.Start(context.Background(), alone(instance.Container{Image: &instance.Image{Root: root}, Command: []string{"/app/program"}}))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(i.Addr())
	<-i.Done()
	os.Exit(1)
}

func TestPortsLieBelowThoseThatSystemsChooseThemselves(t *testing.T) {
	i := start(t, alone(instance.Container{Image: program(t)}))
	_, port, err := net.SplitHostPort(i.Addr())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	assert.Greater(t, number, 1024)
	assert.Less(t, number, 32768)
}
