package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/berth-mcp/berth/server/identity/identitytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deadline is how long a test waits for what ought to happen soon.
const deadline = time.Minute

// stopping is the record after which no new connection is taken.
const stopping = "stopping: no new connections; running calls may finish"

// buildDir holds what the tests build.
var buildDir string

func TestMain(m *testing.M) {
	if os.Getenv(plainServer) != "" {
		fmt.Fprintln(os.Stderr, servePlain())
		os.Exit(1)
	}
	os.Exit(withBuildDir(m.Run))
}

func withBuildDir(run func() int) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "berth-server-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	return run()
}

// binary builds the server once, as it is deployed: static and stripped.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "server")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the server: %w\n%s", err, out)
	}
	return path, nil
})

// process is a running server.
type process struct {
	cmd *exec.Cmd
	log *logLines
	url string
}

// command prepares the server with this environment and nothing else.
func command(t *testing.T, e env) *exec.Cmd {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path)
	cmd.Env = []string{"HOME=" + t.TempDir()}
	for name, value := range e {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

func startProcess(t *testing.T, e env) process {
	t.Helper()
	cmd := command(t, e)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = t.Output()
	require.NoError(t, cmd.Start())
	p := process{cmd: cmd, log: follow(stdout)}
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	_, port, err := net.SplitHostPort(p.log.await(t, "listening")["address"].(string))
	require.NoError(t, err)
	p.url = "http://127.0.0.1:" + port
	return p
}

// exit waits for the process and gives its exit code.
func (p process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.log.ended: // its output ends with it, and has to be read first
	case <-time.After(deadline):
		t.Fatal("the server did not end")
	}
	_ = p.cmd.Wait() // the code says it
	return p.cmd.ProcessState.ExitCode()
}

func TestASignalEndsTheProcessOnceItsCallsAreAnswered(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			p := startProcess(t, env{"BERTH_CLIENT": "acme", "BERTH_IDENTITY": "dev", "PORT": "0"})

			stream, err := http.Get(p.url + "/sse")
			require.NoError(t, err)
			defer stream.Body.Close()
			require.Equal(t, http.StatusOK, stream.StatusCode)

			// A call whose body is still on its way when the signal comes.
			const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`
			conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))
			_, err = fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
				"Accept: application/json, text/event-stream\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
			require.NoError(t, err)
			answer := bufio.NewReader(conn)
			line, err := answer.ReadString('\n')
			require.NoError(t, err)
			require.Contains(t, line, "100 Continue", "the server waits for the body")
			_, err = answer.ReadString('\n')
			require.NoError(t, err)

			require.NoError(t, p.cmd.Process.Signal(signal))
			p.log.await(t, stopping)
			_, err = io.WriteString(conn, body)
			require.NoError(t, err)

			response, err := http.ReadResponse(answer, nil)
			require.NoError(t, err)
			defer response.Body.Close()
			got, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			assert.Contains(t, string(got), "dev@localhost")
			_, err = io.ReadAll(stream.Body)
			require.NoError(t, err, "the stream ends, and ends well")

			assert.Equal(t, 0, p.exit(t))
			assert.Equal(t, "INFO", p.log.await(t, "stopped")["severity"], "in time, before Cloud Run would kill it")
		})
	}
}

func TestTheProcessKnowsTheCallerOnCloudRun(t *testing.T) {
	p := startProcess(t, env{
		"BERTH_CLIENT": "globex", "BERTH_IDENTITY": "cloudrun", "BERTH_LISTEN": "127.0.0.1", "PORT": "0",
		"K_SERVICE": "globex", "K_REVISION": "globex-00002-xyz", "K_CONFIGURATION": "globex",
		"GOOGLE_CLOUD_PROJECT": "p1",
	})
	request := func(header http.Header) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/mcp",
			strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`))
		require.NoError(t, err)
		r.Header = header
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		r.Header.Set("X-Cloud-Trace-Context", "105445aa7843bc8bf206b12000100000/1;o=1")
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}
	ada := "Bearer " + identitytest.PlatformToken("ada@example.com", nil)
	eve := "Bearer " + identitytest.PlatformToken("eve@example.com", nil)

	status, body := request(http.Header{"X-Serverless-Authorization": {ada}, "Authorization": {eve}})
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `"email":"ada@example.com"`)
	assert.Contains(t, body, `"client":"globex"`)
	assert.Contains(t, body, `"revision":"globex-00002-xyz"`)
	record := p.log.await(t, "tool call")
	assert.Equal(t, "ada@example.com", record["caller"])
	assert.Equal(t, "projects/p1/traces/105445aa7843bc8bf206b12000100000", record["logging.googleapis.com/trace"])

	status, _ = request(http.Header{"X-Serverless-Authorization": {ada, eve}})
	assert.Equal(t, http.StatusUnauthorized, status)
	assert.Equal(t, "WARNING", p.log.await(t, "refused a request: its caller is not known")["severity"])
}

// The image is this file and little else: it is to start on an instance that has to
// fetch it first.
func TestTheProgramIsSmall(t *testing.T) {
	path, err := binary()
	require.NoError(t, err)
	program, err := os.Open(path)
	require.NoError(t, err)
	defer program.Close()
	size := new(counter)
	compressed := gzip.NewWriter(size)
	_, err = io.Copy(compressed, program)
	require.NoError(t, err)
	require.NoError(t, compressed.Close())
	assert.Less(t, int(*size), 15_000_000, "bytes, compressed")
}

// counter counts the bytes that are written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func TestDevSaysSoLoudly(t *testing.T) {
	p := startProcess(t, env{"BERTH_CLIENT": "acme", "BERTH_IDENTITY": "dev", "PORT": "0"})
	for _, record := range p.log.seen {
		if record["severity"] == "WARNING" {
			assert.Equal(t, "BERTH_IDENTITY=dev: callers are not checked; anyone on this machine may use this server as dev@localhost", record["message"])
			return
		}
	}
	t.Errorf("no warning in %v", p.log.seen)
}

func TestAProcessThatCannotStartSaysAllThatIsWrong(t *testing.T) {
	out, err := command(t, env{"PORT": "x"}).Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 1, exit.ExitCode())
	var record map[string]any
	require.NoError(t, json.Unmarshal(out, &record), "one record: %s", out)
	assert.Equal(t, "ERROR", record["severity"])
	for _, name := range []string{"BERTH_CLIENT: ", "BERTH_IDENTITY: ", "PORT: "} {
		assert.Contains(t, record["message"], name)
	}
}

// logLines are the records of a server's log, as they come.
type logLines struct {
	records chan map[string]any
	ended   chan struct{}
	seen    []map[string]any // those that await has passed
}

func follow(r io.Reader) *logLines {
	l := &logLines{records: make(chan map[string]any, 1000), ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			record := map[string]any{}
			if err := json.Unmarshal(scanner.Bytes(), &record); err != nil {
				record["message"] = "not JSON: " + scanner.Text()
			}
			l.records <- record
		}
	}()
	return l
}

// await is the next record with the message.
func (l *logLines) await(t *testing.T, message string) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for {
		select {
		case record := <-l.records:
			l.seen = append(l.seen, record)
			if record["message"] == message {
				return record
			}
		case <-ctx.Done():
			require.FailNow(t, "no such record in the log", "%q in %v", message, l.seen)
		}
	}
}
