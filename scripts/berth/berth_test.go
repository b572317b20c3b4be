package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
	"github.com/berth-mcp/berth/internal/pulumicli"
	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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

func TestAnErrorIsToldInPlainText(t *testing.T) {
	cmd, _, _ := berth(t, "--\x1b[2J\u202e")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), `berth: unknown flag: --\u001b[2J\u202e`)
	plaintexttest.AssertPlain(t, string(out))
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
