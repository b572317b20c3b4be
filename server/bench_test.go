package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
)

// Side by side in one run, each server in a process of its own, a tool that answers
// with the same structure:
//
//	go test -run '^$' -bench . ./server                # beside the go-sdk with no guards
//	go test -tags interop -run '^$' -bench . ./server  # and the TypeScript SDK, by npm
//
// The figures of different runs do not compare; the ratios within one do.

// contender is a server that a benchmark starts. Its first line on standard output
// comes when it listens, and ends with its address.
type contender struct {
	name    string
	command func(b *testing.B) *exec.Cmd
}

var contenders = []contender{
	{"plain-go-sdk", plain("")},
	{"plain-go-sdk-with-our-gogc", plain(fmt.Sprint("GOGC=", gcPercent))}, // so that the difference is the guards
	{"berth", func(b *testing.B) *exec.Cmd {
		path, err := binary()
		require.NoError(b, err)
		c := exec.CommandContext(b.Context(), path)
		c.Env = []string{"BERTH_CLIENT=acme", "BERTH_IDENTITY=dev", "PORT=0", "BERTH_CONFIG=limits: {calls_per_minute: 100000000, burst: 100000000, concurrent: 100000, streams: 100000}"}
		return c
	}},
}

func plain(variable string) func(b *testing.B) *exec.Cmd {
	return func(b *testing.B) *exec.Cmd {
		c := exec.CommandContext(b.Context(), os.Args[0])
		c.Env = append(os.Environ(), plainServer+"=1", variable)
		return c
	}
}

// plainServer makes this test's program the first contender.
const plainServer = "BERTH_BENCH_PLAIN_SERVER"

// servePlain is the go-sdk's own server with one tool and nothing in front of it.
func servePlain() error {
	type goal struct {
		ID, Title, Status, Target string
	}
	type out struct {
		Goals []goal `json:"goals"`
	}
	goals := out{Goals: slices.Repeat([]goal{{"G1", "Order spare parts without a phone call", "active", "2027-01-29"}}, 3)}
	server := mcp.NewServer(&mcp.Implementation{Name: "plain", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "list_goals"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, out, error) {
		return nil, goals, nil
	})
	mux := http.NewServeMux()
	get := func(*http.Request) *mcp.Server { return server }
	mux.Handle("/mcp", mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{Stateless: true}))
	mux.Handle("/sse", mcp.NewSSEHandler(get, nil))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening", listener.Addr())
	return http.Serve(listener, mux)
}

// start starts a contender, and gives its URL, its process and how long it took
// until it listened.
func (c contender) start(b *testing.B) (url string, process *os.Process, took time.Duration) {
	b.Helper()
	command := c.command(b)
	stdout, err := command.StdoutPipe()
	require.NoError(b, err)
	begin := time.Now()
	require.NoError(b, command.Start())
	b.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if _, rest, found := strings.Cut(lines.Text(), "127.0.0.1:"); found && strings.Contains(lines.Text(), "listening") {
			took = time.Since(begin)
			port := rest[:strings.IndexFunc(rest+"\"", func(r rune) bool { return r < '0' || r > '9' })]
			go func() { _, _ = io.Copy(io.Discard, stdout) }() // a full pipe would stop it
			return "http://127.0.0.1:" + port, command.Process, took
		}
	}
	b.Fatalf("%s did not start: %v", c.name, lines.Err())
	return "", nil, 0
}

const callBody = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_goals","arguments":{}}}`

// BenchmarkCalls measures a tool call from 16 connections, and the time within which
// 99 of 100 are answered.
func BenchmarkCalls(b *testing.B) {
	for _, c := range contenders {
		b.Run(c.name, func(b *testing.B) {
			url, _, _ := c.start(b)
			transport := &http.Transport{MaxIdleConnsPerHost: 64}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			var mu sync.Mutex
			var all []time.Duration
			b.SetParallelism(8)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				var own []time.Duration
				for pb.Next() {
					begin := time.Now()
					if err := post(client, url); err != nil {
						b.Error(err)
						return
					}
					own = append(own, time.Since(begin))
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, own...)
			})
			b.StopTimer()
			slices.Sort(all)
			b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "calls/s")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

func post(client *http.Client, url string) error {
	r, err := http.NewRequest(http.MethodPost, url+"/mcp", strings.NewReader(callBody))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("G1")) {
		return fmt.Errorf("%s: %.200s %w", response.Status, body, err)
	}
	return nil
}

// BenchmarkStart measures from the start of the process until it listens.
func BenchmarkStart(b *testing.B) {
	for _, c := range contenders {
		b.Run(c.name, func(b *testing.B) {
			c.command(b) // what has to be built is built
			var total time.Duration
			for range b.N {
				_, process, took := c.start(b)
				total += took
				_ = process.Kill()
			}
			b.ReportMetric(float64(total.Microseconds())/1000/float64(b.N), "ms-to-ready")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// sseSessions is how many streams BenchmarkSSEMemory opens.
const sseSessions = 1000

// BenchmarkSSEMemory measures what 1,000 sessions of /sse add to the memory of the
// process.
func BenchmarkSSEMemory(b *testing.B) {
	for _, c := range contenders {
		b.Run(c.name, func(b *testing.B) {
			url, process, _ := c.start(b)
			before := residentKiB(b, process.Pid)
			client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 0}}
			for range sseSessions {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url+"/sse", nil)
				require.NoError(b, err)
				response, err := client.Do(r)
				require.NoError(b, err)
				b.Cleanup(func() { _ = response.Body.Close() })
				require.Equal(b, http.StatusOK, response.StatusCode)
				_, err = bufio.NewReader(response.Body).ReadString('\n')
				require.NoError(b, err)
			}
			b.ReportMetric(float64(residentKiB(b, process.Pid)-before)/sseSessions, "KiB/session")
			b.ReportMetric(float64(before)/1024, "MiB-at-start")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// residentKiB is the memory of a process, as ps has it on Linux and macOS.
func residentKiB(b *testing.B, pid int) int {
	b.Helper()
	out, err := exec.Command("ps", "-o", "rss=", "-p", fmt.Sprint(pid)).Output()
	require.NoError(b, err)
	var kib int
	_, err = fmt.Sscan(string(out), &kib)
	require.NoError(b, err)
	return kib
}
