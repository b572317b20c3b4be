package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// startTimeout bounds how long a contender takes to answer.
const startTimeout = 20 * time.Second

// A contender is one way to the server.
type contender struct {
	name  string
	start func(ctx context.Context) (*running, error)
	// startSecure starts one that gets to the server by HTTP/2 over TLS; nil if there is none.
	startSecure func(ctx context.Context) (*running, error)
	*running
}

// running is a contender that answers.
type running struct {
	url     string
	command *exec.Cmd // nil for the direct way
	stop    func()
}

// A stable holds all contenders.
type stable struct {
	dir        string
	server     *running
	secure     *running // the server, over TLS
	authority  string   // file of the authority that its certificate is from
	contenders []*contender
}

func newStable(ctx context.Context, dir string) (*stable, error) {
	s := &stable{dir: dir, authority: filepath.Join(dir, "authority.pem")}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if s.server, err = started(exec.CommandContext(ctx, self, "role-server"), ""); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	if s.secure, err = started(exec.CommandContext(ctx, self, "role-secure", s.authority), ""); err != nil {
		s.close()
		return nil, fmt.Errorf("start the server with TLS: %w", err)
	}
	s.contenders = []*contender{
		{name: "direct", start: func(context.Context) (*running, error) {
			return &running{url: s.server.url, stop: func() {}}, nil
		}},
		{name: "ReverseProxy", start: func(ctx context.Context) (*running, error) {
			return started(exec.CommandContext(ctx, self, "role-plain", s.server.url), "")
		}, startSecure: func(ctx context.Context) (*running, error) {
			return started(exec.CommandContext(ctx, self, "role-plain", s.secure.url, s.authority), "")
		}},
	}
	if nginx, err := exec.LookPath("nginx"); err == nil {
		s.contenders = append(s.contenders, &contender{name: "nginx", start: func(ctx context.Context) (*running, error) { return s.nginx(ctx, nginx) }})
	}
	berth, err := s.buildBerth(ctx)
	if err != nil {
		s.close()
		return nil, err
	}
	s.contenders = append(s.contenders, &contender{name: "berth-proxy",
		start: func(ctx context.Context) (*running, error) { return berth(ctx, "acme="+s.server.url) },
		startSecure: func(ctx context.Context) (*running, error) {
			return berth(ctx, "acme="+s.secure.url, "--ca-file", s.authority)
		},
	})
	for _, c := range s.contenders {
		if c.running, err = c.start(ctx); err != nil {
			s.close()
			return nil, fmt.Errorf("start %s: %w", c.name, err)
		}
	}
	return s, nil
}

func (s *stable) close() {
	for _, c := range s.contenders {
		if c.running != nil {
			c.stop()
		}
	}
	s.server.stop()
	if s.secure != nil {
		s.secure.stop()
	}
}

// started waits for the URL that a program prints in its first line, behind the prefix.
func started(command *exec.Cmd, prefix string) (*running, error) {
	// What this program is itself ends when this pipe does.
	if _, err := command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		return nil, err
	}
	r := &running{command: command, stop: func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
	}}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url, found := strings.CutPrefix(strings.TrimSpace(line), prefix)
	if err != nil || !found {
		r.stop()
		return nil, fmt.Errorf("%s printed %q in place of its URL", filepath.Base(command.Path), line)
	}
	r.url = url
	return r, nil
}

// buildBerth returns what starts berth-proxy, with its arguments.
func (s *stable) buildBerth(ctx context.Context) (func(context.Context, ...string) (*running, error), error) {
	binary := filepath.Join(s.dir, "berth-proxy")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", binary, "github.com/berth-mcp/berth/proxy")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	out, err := build.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("build berth-proxy: %w\n%s", err, out)
	}
	tokenURL := s.server.url + "/token"
	content, err := json.Marshal(map[string]string{
		"type": "authorized_user", "client_id": "bench", "client_secret": "none", "refresh_token": "none", "token_uri": tokenURL,
	})
	if err != nil {
		return nil, err
	}
	login := filepath.Join(s.dir, "login.json")
	if err := os.WriteFile(login, content, 0o600); err != nil {
		return nil, err
	}
	return func(ctx context.Context, args ...string) (*running, error) {
		c := exec.CommandContext(ctx, binary, append(args, "--port=0", "--log-level=error", "--token-url", tokenURL)...)
		c.Env = []string{"HOME=" + s.dir, "GOOGLE_APPLICATION_CREDENTIALS=" + login}
		return started(c, "berth-proxy is listening on ")
	}, nil
}

// nginx is configured as its documentation advises for event streams.
func (s *stable) nginx(ctx context.Context, binary string) (*running, error) {
	dir, err := os.MkdirTemp(s.dir, "nginx-")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`
daemon off;
worker_processes auto;
pid %[1]s/pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	keepalive_requests 1000000000;
	upstream server { server %[2]s; keepalive 256; keepalive_requests 1000000000; }
	server {
		listen %[3]s;
		location / {
			proxy_pass http://server;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_buffering off;
			proxy_read_timeout 1h;
		}
	}
}
`, dir, strings.TrimPrefix(s.server.url, "http://"), address)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, binary, "-c", file, "-p", dir)
	command.Stderr = os.Stderr
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // it ends its workers
	if err := command.Start(); err != nil {
		return nil, err
	}
	r := &running{url: "http://" + address, command: command, stop: func() {
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait()
	}}
	if err := answers(ctx, r.url+"/json"); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

// answers waits for the first answer.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("it does not answer"))
	defer cancel()
	for ctx.Err() == nil {
		resp, err := http.Get(url)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if err == nil {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return context.Cause(ctx)
}
