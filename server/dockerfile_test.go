//go:build interop

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-mcp/berth/internal/toolchain"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// golangImage is the Dockerfile's own base, made of this machine's Go: a shell and
// nothing else, as no registry is asked. Go itself and the modules are mounted.
const golangImage = `FROM scratch
COPY sh /bin/sh
ENV PATH=/usr/local/go/bin:/bin GOPATH=/go GOTOOLCHAIN=local GOPROXY=file:///modules GOSUMDB=off
WORKDIR /tmp
`

// buildah builds and runs without a daemon, and without user namespaces, which a
// machine that is a container itself may not have.
type buildah struct{ dir string }

func newBuildah(t *testing.T) buildah {
	t.Helper()
	b := buildah{dir: t.TempDir()}
	t.Cleanup(func() { b.run(t, "rm", "--all") }) // else mounts keep the directory
	return b
}

func (b buildah) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("buildah", append([]string{
		"--root", filepath.Join(b.dir, "root"), "--runroot", filepath.Join(b.dir, "run"), "--storage-driver", "vfs",
	}, args...)...)
	cmd.Env = append(os.Environ(), "BUILDAH_ISOLATION=chroot", "HOME="+b.dir, "TMPDIR="+b.dir)
	return cmd
}

func (b buildah) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := b.command(t, args...).CombinedOutput()
	require.NoError(t, err, "buildah %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// image makes an image of busybox as sh and of other files, which may be run.
func (b buildah) image(t *testing.T, tag, dockerfile string, files map[string]string) {
	t.Helper()
	context := t.TempDir()
	shell, err := os.ReadFile("/bin/busybox") // of Debian's busybox-static
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(context, "sh"), shell, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(context, "Dockerfile"), []byte(dockerfile), 0o644))
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(context, name), []byte(content), 0o755))
	}
	b.run(t, "build", "--tag", tag, context)
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

func TestInteropTheDockerfileBuildsAServerThatAnswersMCP(t *testing.T) {
	b := newBuildah(t)
	b.image(t, "docker.io/library/golang:"+strings.TrimPrefix(toolchain.Go, "go"), golangImage, nil)
	b.run(t, "build", "--pull-never", "--platform", "linux/"+runtime.GOARCH,
		"--volume", goEnv(t, "GOROOT")+":/usr/local/go:ro",
		"--volume", filepath.Join(goEnv(t, "GOMODCACHE"), "cache", "download")+":/modules:ro",
		"--tag", "berth-server", "..")

	var image struct {
		OCIv1 struct {
			Config struct {
				User       string
				Entrypoint []string
				Env        []string
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(b.run(t, "inspect", "--type", "image", "berth-server")), &image))
	assert.Equal(t, "65532:65532", image.OCIv1.Config.User)
	assert.Equal(t, []string{"/server"}, image.OCIv1.Config.Entrypoint)
	assert.Contains(t, image.OCIv1.Config.Env, "PORT=8080")

	container := b.run(t, "from", "--pull-never", "berth-server")
	files, err := filepath.Glob(filepath.Join(b.run(t, "mount", container), "*"))
	require.NoError(t, err)
	require.Len(t, files, 1, "the server and nothing else: %v", files)

	t.Run("it does not start until it is told how to know its callers", func(t *testing.T) {
		out, err := b.command(t, "run", "--env", "BERTH_CLIENT=acme", container, "/server").CombinedOutput()
		require.Error(t, err)
		assert.Contains(t, string(out), "BERTH_IDENTITY")
	})

	t.Run("it answers MCP, and is not root", func(t *testing.T) {
		cmd := b.command(t, "run", "--env", "BERTH_CLIENT=acme", "--env", "BERTH_IDENTITY=dev",
			"--env", "BERTH_LISTEN=127.0.0.1", "--env", "PORT=0", container, "/server")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // buildah and what runs in it
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		cmd.Stderr = t.Output()
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
			_ = cmd.Wait()
		})

		address := follow(stdout).await(t, "listening")["address"].(string)
		session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).
			Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: "http://" + address + "/mcp"}, nil)
		require.NoError(t, err)
		defer session.Close()
		answer, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
		require.NoError(t, err)
		require.False(t, answer.IsError)
		encoded, err := json.Marshal(answer.StructuredContent)
		require.NoError(t, err)
		assert.Contains(t, string(encoded), `"client":"acme"`)
		assert.Equal(t, "65532", owner(t, cmd.Process.Pid))
	})
}

// namedImage is a base that is told from the Dockerfile's own by what its go makes.
const namedImage = `FROM scratch
COPY sh /bin/sh
COPY sh /bin/mkdir
COPY go /bin/go
ENV PATH=/bin
`

func TestInteropTheDockerfileBuildsWithTheImageOfADigest(t *testing.T) {
	b := newBuildah(t)
	b.image(t, "localhost/golang:any", namedImage, map[string]string{"go": "#!/bin/sh\nmkdir -p /out && echo made by the named image > /out/server\n"})
	digest := b.run(t, "images", "--format", "{{.Digest}}", "localhost/golang:any")
	require.Regexp(t, `^sha256:[0-9a-f]{64}$`, digest)
	b.run(t, "build", "--pull-never", "--build-arg", "GO_IMAGE=localhost/golang@"+digest, "--tag", "berth-server", "..")
	server, err := os.ReadFile(filepath.Join(b.run(t, "mount", b.run(t, "from", "--pull-never", "berth-server")), "server"))
	require.NoError(t, err)
	assert.Equal(t, "made by the named image\n", string(server))

	another := "localhost/golang@sha256:" + strings.Repeat("0", 64)
	out, err := b.command(t, "build", "--pull-never", "--build-arg", "GO_IMAGE="+another, "..").CombinedOutput()
	require.Error(t, err, "no other image is taken")
	assert.Contains(t, string(out), another)
}

// owner is the user id of what runs in the container: the last in the line of
// processes that buildah has started.
func owner(t *testing.T, pid int) string {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	threads, err := filepath.Glob(filepath.Join(proc, "task", "*", "children"))
	require.NoError(t, err)
	for _, thread := range threads {
		children, err := os.ReadFile(thread)
		require.NoError(t, err)
		for _, child := range strings.Fields(string(children)) {
			next, err := strconv.Atoi(child)
			require.NoError(t, err)
			return owner(t, next)
		}
	}
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	require.NoError(t, err)
	_, after, found := strings.Cut(string(status), "Uid:")
	require.True(t, found)
	return strings.Fields(after)[1] // the effective one
}
