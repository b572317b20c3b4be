package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/berth-mcp/berth/internal/envtest"
	"github.com/berth-mcp/berth/internal/pulumicli"
	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trap stands for the internet: whatever leaves loopback goes to the proxy that
// the environment names, and that is here.
type trap struct {
	mu      sync.Mutex
	visited []string
}

func newTrap(t *testing.T) (*trap, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	tr := &trap{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			first := make([]byte, 200)
			n, _ := conn.Read(first)
			_ = conn.Close()
			tr.mu.Lock()
			tr.visited = append(tr.visited, strings.SplitN(string(first[:n]), "\r\n", 2)[0])
			tr.mu.Unlock()
		}
	}()
	return tr, "http://" + listener.Addr().String()
}

func (tr *trap) seen() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.visited
}

// TestMain makes this binary the command itself where a test runs it.
func TestMain(m *testing.M) {
	if os.Getenv("BERTH_TEST_COMMAND") != "" {
		main()
		return
	}
	envtest.Clear()
	os.Exit(m.Run())
}

// berth prepares to run the command as somebody who has a real
// account: a login at home and every setting that could lead to it.
func berth(t *testing.T, args ...string) (cmd *exec.Cmd, temporary string, internet *trap) {
	t.Helper()
	root, err := pulumicli.Root()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	home := envtest.Home(t)
	login := filepath.Join(home, ".config", "gcloud", "application_default_credentials.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(login), 0o700))
	require.NoError(t, os.WriteFile(login, []byte(`{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"a-real-one"}`), 0o600))
	temporary = t.TempDir()
	internet, address := newTrap(t)

	cmd = exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "BERTH_TEST_COMMAND=1", "HOME="+home, "TMPDIR="+temporary,
		"GOOGLE_APPLICATION_CREDENTIALS="+login, "GOOGLE_OAUTH_ACCESS_TOKEN=a-real-one",
		"GOOGLE_PROJECT=a-real-project", "CLOUDSDK_CORE_PROJECT=a-real-project",
		"PULUMI_ACCESS_TOKEN=a-real-one", "PULUMI_BACKEND_URL=https://api.pulumi.com",
		"HTTP_PROXY="+address, "HTTPS_PROXY="+address, "NO_PROXY=", "no_proxy=", "GOPROXY=off",
	)
	for name, value := range caches(t) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd, temporary, internet
}

// caches keeps the test's builds warm although its home is another.
func caches(t *testing.T) map[string]string {
	t.Helper()
	kept := map[string]string{}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		out, err := exec.Command("go", "env", name).Output()
		require.NoError(t, err)
		kept[name] = strings.TrimSpace(string(out))
	}
	cache, err := pulumicli.CacheDir()
	require.NoError(t, err)
	kept[pulumicli.CacheVar] = cache
	return kept
}

// ready makes sure that the Pulumi command is there, so that what follows needs
// nothing from the module proxy.
func ready(t *testing.T) {
	t.Helper()
	t.Setenv("PULUMI_HOME", t.TempDir()) // for its logs
	root, err := pulumicli.Root()
	require.NoError(t, err)
	_, err = pulumicli.Find(t.Context(), root, quiet{})
	require.NoError(t, err)
}

type quiet struct{}

func (quiet) Note(string)       {}
func (quiet) Compiled(int, int) {}

func TestTryGoesThroughTheWholeStoryAndTouchesNothingReal(t *testing.T) {
	ready(t)
	cmd, temporary, internet := berth(t, "try", "--once")
	stackFile := filepath.Join(cmd.Dir, "Pulumi.dev.yaml")
	before, err := os.ReadFile(stackFile)
	require.NoError(t, err)

	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	story := string(out)
	for _, step := range []string{"pulumi up", "whoami: ada@example.com", "refused", "Onboarding", "Offboarding", "pulumi destroy", "Nothing is left", "Everything held."} {
		assert.Contains(t, story, step)
	}
	assert.NotContains(t, story, "\x1b", "a pipe gets plain text")

	assert.Empty(t, internet.seen(), "nothing left loopback")
	after, err := os.ReadFile(stackFile)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after), "Pulumi.dev.yaml is only read")
	assertEmpty(t, temporary)
}

// running is a "berth try" that is up and waits.
type running struct {
	*exec.Cmd
	temporary string
	internet  *trap
	story     *bytes.Buffer // complete once ended is closed
	ended     chan struct{}
	endpoint  string // of the first developer's proxy
}

func startTry(t *testing.T) running {
	t.Helper()
	ready(t)
	cmd, temporary, internet := berth(t, "try", "--port", "0")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	r := running{cmd, temporary, internet, &bytes.Buffer{}, make(chan struct{}), ""}
	up := make(chan string, 1)
	go func() {
		defer close(r.ended)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(r.story, lines.Text())
			if strings.Contains(lines.Text(), "Ctrl-C takes everything down") {
				up <- r.story.String()
			}
		}
	}()
	select {
	case story := <-up:
		r.endpoint = regexp.MustCompile(`http://localhost:[0-9]+/mcp`).FindString(story)
		require.NotEmpty(t, r.endpoint, story)
	case <-r.ended:
		t.Fatalf("it ended before it was up:\n%s", r.story)
	}
	return r
}

func TestTryStaysUpUntilItIsInterruptedAndThenTakesEverythingDown(t *testing.T) {
	for name, sig := range map[string]os.Signal{"Ctrl-C": os.Interrupt, "a closed terminal": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			try := startTry(t)
			require.NoError(t, try.Process.Signal(sig))
			<-try.ended
			require.NoError(t, try.Wait(), try.story)
			assert.Contains(t, try.story.String(), "Nothing is left")
			assert.Empty(t, try.internet.seen(), "nothing left loopback")
			assertEmpty(t, try.temporary)
		})
	}
}

func TestATryThatIsKilledHardLeavesNothingBehind(t *testing.T) {
	try := startTry(t)
	address := strings.TrimSuffix(strings.TrimPrefix(try.endpoint, "http://"), "/mcp")
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err, "the proxy listens")
	require.NoError(t, conn.Close())

	require.NoError(t, try.Process.Kill())
	<-try.ended
	_ = try.Wait()
	assert.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		left, _ := os.ReadDir(try.temporary)
		return err != nil && len(left) == 0
	}, time.Minute, 50*time.Millisecond, "processes or files stay behind")
}

func TestATryThatIsInterruptedWhileItCompilesSaysSoAndLeavesNothing(t *testing.T) {
	cmd, temporary, _ := berth(t, "try", "--once")
	cmd.Env = append(cmd.Env, "PATH="+pathWithGoAlone(t), pulumicli.CacheVar+"="+t.TempDir(), "GOCACHE="+t.TempDir())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	assert.Eventually(t, func() bool {
		compiling := false
		_ = filepath.WalkDir(temporary, func(path string, _ fs.DirEntry, _ error) error {
			compiling = compiling || strings.HasPrefix(filepath.Base(path), "go-build")
			return nil
		})
		return compiling
	}, time.Minute, 10*time.Millisecond, "go compiles nothing")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	assert.Contains(t, out.String(), "berth: interrupted")
	assertEmpty(t, temporary)
}

func TestAPortThatCannotBeListenedOnIsSaidAtOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	for port, says := range map[string]string{
		port:    "port " + port + " is taken",
		"99999": "invalid port",
		"-1":    "invalid port",
	} {
		cmd, temporary, _ := berth(t, "try", "--port", port)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		assert.Contains(t, string(out), says)
		assert.Contains(t, string(out), "--port")
		assert.NotContains(t, string(out), "pulumi up")
		assertEmpty(t, temporary)
	}
}

func TestTheTerminalIsAskedNothing(t *testing.T) {
	cmd, _, _ := berth(t, "--help")
	cmd.Env = append(cmd.Env, "TERM=xterm-256color") // of screen's and a dumb one nobody would ask
	terminal, err := pty.Start(cmd)
	require.NoError(t, err)
	defer terminal.Close()
	said, _ := io.ReadAll(terminal) // a terminal that nobody writes to any more is an error on Linux
	require.NoError(t, cmd.Wait())
	assert.Contains(t, string(said), "Usage:")
	assert.NotContains(t, string(said), "\x1b")
}

func TestTryOutsideOfACloneSaysWhereToRunIt(t *testing.T) {
	cmd, _, _ := berth(t, "try", "--once")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "change into your clone")
}

func TestWhereThereIsNoPulumiAndNoWayToBuildItOneSentenceSaysSo(t *testing.T) {
	cmd, temporary, _ := berth(t, "try", "--once")
	cmd.Env = append(cmd.Env, "PATH="+pathWithGoAlone(t), pulumicli.CacheVar+"="+t.TempDir(), "GOMODCACHE="+t.TempDir(), "GOFLAGS=-modcacherw")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "berth: ")
	assert.Contains(t, string(out), "module lookup disabled by GOPROXY=off")
	assert.NotContains(t, string(out), "panic")
	assertEmpty(t, temporary)
}

func pathWithGoAlone(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	gobin, err := exec.LookPath("go")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(gobin, filepath.Join(bin, "go")))
	return bin
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range left {
		names = append(names, entry.Name())
	}
	assert.Empty(t, names, "temporary files stay behind")
}
