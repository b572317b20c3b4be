package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// remotePackage is what editors without HTTP are usually given.
const remotePackage = "mcp-remote@0.15.1"

// A bridge is a program that an editor starts, to speak to it over stdio.
type bridge struct {
	name    string
	command func(ctx context.Context) *exec.Cmd
}

// bridges are berth-proxy and, if it is asked for, mcp-remote, which npm installs.
func (s *stable) bridges(ctx context.Context, withRemote bool) ([]bridge, error) {
	login := []string{"HOME=" + s.dir, "GOOGLE_APPLICATION_CREDENTIALS=" + filepath.Join(s.dir, "login.json")}
	all := []bridge{{"berth-proxy stdio", func(ctx context.Context) *exec.Cmd {
		c := exec.CommandContext(ctx, filepath.Join(s.dir, "berth-proxy"), "stdio", "--log-level=error", "--token-url", s.server.url+"/token", "acme="+s.server.url)
		c.Env = login
		return c
	}}}
	if !withRemote {
		return all, nil
	}
	out, err := exec.CommandContext(ctx, "npm", "install", "--prefix", s.dir, "--ignore-scripts", "--no-audit", "--no-fund", remotePackage).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("npm install %s: %w\n%s", remotePackage, err, out)
	}
	return append(all, bridge{"mcp-remote", func(ctx context.Context) *exec.Cmd {
		c := exec.CommandContext(ctx, "node", filepath.Join(s.dir, "node_modules", ".bin", "mcp-remote"), s.server.url+"/mcp", "--transport", "http-only")
		c.Env = []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH")}
		return c
	}}), nil
}

const (
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`
	opened     = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	// initialized is the server's answer, but for its id.
	initialized = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}`
)

// mcp answers as much of MCP as an editor needs for a call.
func mcp(w http.ResponseWriter, r *http.Request) {
	var request struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	switch err := json.NewDecoder(r.Body).Decode(&request); {
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case len(request.ID) == 0:
		w.WriteHeader(http.StatusAccepted)
	case request.Method == "initialize":
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, request.ID, initialized)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, strings.Replace(answer, `"id":7`, `"id":`+string(request.ID), 1))
	}
}

// stdioRows are what run returns.
var stdioRows = []string{"start to first answer, ms", "p50 of a call, ms", "most memory, MiB"}

// run starts the program, makes calls one after another, and ends it as an editor does.
func (b bridge) run(ctx context.Context, calls int) ([]float64, error) {
	c := b.command(ctx)
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := c.Start(); err != nil {
		return nil, err
	}
	defer func() { _ = c.Wait() }()
	defer func() { _ = c.Process.Kill() }() // unless it has ended by itself
	lines := bufio.NewReader(out)
	exchange := func(message, want string) (float64, error) {
		sent := time.Now()
		if _, err := io.WriteString(in, message+"\n"); err != nil {
			return 0, err
		}
		line, err := lines.ReadString('\n')
		if err == nil && !strings.Contains(line, want) {
			err = fmt.Errorf("the answer is %q", line)
		}
		return time.Since(sent).Seconds() * 1e3, err
	}
	if _, err := exchange(initialize, `"serverInfo"`); err != nil {
		return nil, err
	}
	first := time.Since(began).Seconds() * 1e3
	if _, err := io.WriteString(in, opened+"\n"); err != nil {
		return nil, err
	}
	var took []float64
	for range calls {
		ms, err := exchange(call, "Halve the time to onboard")
		if err != nil {
			return nil, err
		}
		took = append(took, ms)
	}
	r := running{command: c}
	values := []float64{first, median(took), r.peak() / 1024}
	return values, in.Close()
}

// raceBridges has the programs take turns and prints the medians.
func raceBridges(ctx context.Context, all []bridge, p plan, w io.Writer) error {
	samples := make([][][]float64, len(stdioRows)) // of the row, of the program
	for i := range samples {
		samples[i] = make([][]float64, len(all))
	}
	for round := range p.starts {
		for turn := range all {
			i := (round + turn) % len(all)
			values, err := all[i].run(ctx, p.calls)
			if err != nil {
				return fmt.Errorf("%s: %w", all[i].name, err)
			}
			for row, v := range values {
				samples[row][i] = append(samples[row][i], v)
			}
		}
	}
	fmt.Fprintf(w, "\nFor editors that start a command: medians of %d starts, of %d calls each.\n\n", p.starts, p.calls)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(out, "\t")
	for _, b := range all {
		fmt.Fprint(out, b.name, "\t")
	}
	fmt.Fprintln(out)
	for row, values := range samples {
		fmt.Fprint(out, stdioRows[row], "\t")
		for i := range all {
			fmt.Fprint(out, show(median(slices.Clone(values[i]))), "\t")
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}
