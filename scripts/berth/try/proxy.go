package try

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/berth-mcp/berth/internal/watchdog"
)

// proxyStart bounds the time from starting a proxy to its first line.
const proxyStart = time.Minute

// proxy is a berth-proxy process on a developer's machine.
type proxy struct {
	developer string
	endpoint  string // MCP endpoint on localhost
	process   *exec.Cmd
	log       *bytes.Buffer // complete once the process has ended
}

// login logs a developer in, as "gcloud auth application-default login" does,
// and starts their proxy.
func (w *world) login(ctx context.Context, developer string, port int) (*proxy, error) {
	if err := w.buildProxy(ctx); err != nil {
		return nil, err
	}
	credentials, err := w.cloud.Directory().Login(developer)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(w.dir, developer+".json")
	if err := os.WriteFile(file, credentials, 0o600); err != nil {
		return nil, err
	}
	p := &proxy{developer: developer, log: &bytes.Buffer{}}
	p.process = exec.Command(w.proxyBinary,
		"--port", strconv.Itoa(port), "--token-url", w.cloud.TokenURL(), stackName+"="+w.url)
	p.process.Env = append(os.Environ(), "GOOGLE_APPLICATION_CREDENTIALS="+file)
	p.process.Stderr = p.log
	p.process.SysProcAttr = watchdog.OwnGroup()
	stdout, err := p.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.process.Start(); err != nil {
		return nil, fmt.Errorf("starting berth-proxy: %w", err)
	}
	if err := w.watchdog.Watch(p.process.Process.Pid); err != nil {
		p.stop()
		return nil, err
	}
	first := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			select {
			case first <- lines.Text():
			default: // only the first line matters
			}
		}
		close(first)
	}()
	select {
	case line := <-first:
		_, address, listening := strings.Cut(line, "listening on ")
		if !listening {
			p.stop()
			return nil, fmt.Errorf("berth-proxy did not start: %s", strings.TrimSpace(p.log.String()))
		}
		p.endpoint = address + "/mcp"
		return p, nil
	case <-ctx.Done():
		p.stop()
		return nil, ctx.Err()
	case <-time.After(proxyStart):
		p.stop()
		return nil, errors.New("berth-proxy said nothing after its start")
	}
}

// buildProxy compiles the binary that developers install.
func (w *world) buildProxy(ctx context.Context) error {
	if w.proxyBinary != "" {
		return nil
	}
	binary := filepath.Join(w.dir, "berth-proxy")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", binary, "./proxy")
	cmd.Dir = w.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building berth-proxy: %w\n%s", err, out)
	}
	w.proxyBinary = binary
	return nil
}

// stop ends the process as Ctrl-C in its terminal would.
func (p *proxy) stop() {
	_ = p.process.Process.Signal(os.Interrupt)
	patience := time.AfterFunc(proxyStart, func() { _ = p.process.Process.Kill() })
	defer patience.Stop()
	_ = p.process.Wait()
}
