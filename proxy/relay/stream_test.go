package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lines reads a response's body line by line, as it comes.
func lines(t *testing.T, body io.Reader) <-chan string {
	c := make(chan string)
	ctx := t.Context()
	go func() {
		defer close(c)
		for s := bufio.NewScanner(body); s.Scan(); {
			select {
			case c <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

// clock answers with an event stream whose events come one by one, at a tick.
func clock(ticks <-chan string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case tick, more := <-ticks:
				if !more {
					return
				}
				fmt.Fprintf(w, "data: %s\n\n", tick)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}
}

func TestEachEventPassesAsSoonAsItIsThere(t *testing.T) {
	for name, test := range map[string]struct {
		protocol string
		serve    func(*httptest.Server)
	}{
		"from HTTP/1.1":          {"HTTP/1.1", (*httptest.Server).Start},
		"from HTTP/1.1 over TLS": {"HTTP/1.1", (*httptest.Server).StartTLS},
		"from HTTP/2": {"HTTP/2.0", func(s *httptest.Server) {
			s.EnableHTTP2 = true
			s.StartTLS()
		}},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(name+" to "+method, func(t *testing.T) {
				ticks, protocol := make(chan string), make(chan string, 1)
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					protocol <- r.Proto
					clock(ticks)(w, r)
				}))
				test.serve(server)
				t.Cleanup(server.Close)
				h := start(t, "acme="+server.URL)
				if server.TLS != nil {
					h.trust(server)
				}
				body := ""
				if method == http.MethodPost {
					body = call
				}
				r := h.request(t, method, "/mcp", body)
				r.Header.Set("Accept", "text/event-stream")
				resp, err := client(t).Do(r) // returns with the headers, before any event
				require.NoError(t, err)
				defer resp.Body.Close()
				require.Equal(t, test.protocol, within(t, protocol, "the target's protocol"))
				got := lines(t, resp.Body)
				for i := range 20 {
					ticks <- fmt.Sprint(i)
					require.Equal(t, fmt.Sprintf("data: %d", i), within(t, got, "an event"))
					require.Empty(t, within(t, got, "its end"))
				}
				close(ticks)
				_, more := <-got
				require.False(t, more)
			})
		}
	}
}

func TestAClientThatGoesAwayCancelsItsRequest(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, answered := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, answered %t", method, answered), func(t *testing.T) {
				arrived, left := make(chan struct{}), make(chan struct{})
				server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					if answered {
						w.Header().Set("Content-Type", "text/event-stream")
						_ = http.NewResponseController(w).Flush()
					}
					close(arrived)
					<-r.Context().Done()
					close(left)
				})
				h := start(t, "acme="+server.URL)
				body := ""
				if method == http.MethodPost {
					body = call
				}
				ctx, leave := context.WithCancel(t.Context())
				go func() {
					resp, err := client(t).Do(h.request(t, method, "/mcp", body).WithContext(ctx))
					if err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				}()
				within(t, arrived, "the request")
				leave()
				within(t, left, "the target's notice")
			})
		}
	}
}

func TestAResponseThatBreaksOffIsNotTakenForTheWhole(t *testing.T) {
	for name, header := range map[string]string{"a stream": "", "a body of known length": "100"} {
		t.Run(name, func(t *testing.T) {
			server := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				if header != "" {
					w.Header().Set("Content-Length", header)
				}
				fmt.Fprint(w, "data: half of")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			h := start(t, "acme="+server.URL)
			resp, err := client(t).Do(h.request(t, http.MethodPost, "/mcp", call))
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			assert.Equal(t, "data: half of", string(body))
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
		})
	}
}

// In front of an HTTP/1 server, a proxy that passes the body on while it reads it breaks
// some of these off.
func TestShortStreamsAreWholeWhenManyRunAtOnce(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
		}
	})
	h := start(t, "acme="+server.URL)
	const workers, each = 16, 60
	failures := make(chan error, workers*each)
	shared := client(t)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range each {
				resp, err := shared.Do(h.request(t, http.MethodPost, "/mcp", call))
				if err != nil {
					failures <- err
					continue
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || strings.Count(string(body), "data:") != 5 {
					failures <- fmt.Errorf("%q: %w", body, err)
				}
			}
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		assert.NoError(t, err)
	}
	assert.Equal(t, 1, h.endpoint.Exchanges())
}

func TestStoppingLetsCallsFinishAndCutsStandingStreams(t *testing.T) {
	finish := make(chan struct{})
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-finish:
			fmt.Fprint(w, "data: done\n\n")
		case <-r.Context().Done():
		}
	})
	h := startWith(t, Options{Targets: parse(t, "acme="+server.URL)}, func(s *Relay) { s.callGrace = deadline })
	open := func(method, path, body, mcpMethod string) <-chan string {
		r := h.request(t, method, path, body)
		if mcpMethod != "" {
			r.Header.Set("Mcp-Method", mcpMethod)
		}
		resp, err := client(t).Do(r) // returns with the headers
		require.NoError(t, err)
		end := make(chan string, 1)
		go func() {
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			end <- fmt.Sprintf("%s%v", got, err)
		}()
		return end
	}
	standing := open(http.MethodGet, "/sse", "", "")
	listening := open(http.MethodPost, "/listen", call, "subscriptions/listen")
	calling := open(http.MethodPost, "/call", call, "tools/call")

	stopped := make(chan struct{})
	go func() { h.halt(); close(stopped) }()
	assert.Contains(t, within(t, standing, "the end of the standing stream"), "EOF")
	assert.Contains(t, within(t, listening, "the end of the subscription"), "EOF")
	select {
	case end := <-calling:
		assert.Fail(t, "the call was cut", end)
	default:
	}
	_, err := client(t).Do(h.request(t, http.MethodGet, "/late", ""))
	assert.ErrorContains(t, err, "refused", "nothing new is accepted")
	close(finish)
	assert.Equal(t, "data: done\n\n<nil>", within(t, calling, "the end of the call"))
	within(t, stopped, "the end of the proxy")
}

func TestStoppingDoesNotWaitForeverForACall(t *testing.T) {
	arrived := make(chan struct{})
	server := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	const grace = 100 * time.Millisecond
	h := startWith(t, Options{Targets: parse(t, "acme="+server.URL)}, func(s *Relay) { s.callGrace = grace })
	ended := make(chan error, 1)
	go func() {
		resp, err := client(t).Do(h.request(t, http.MethodPost, "/mcp", call))
		if err == nil {
			_ = resp.Body.Close()
		}
		ended <- err
	}()
	within(t, arrived, "the call")
	began := time.Now()
	h.halt()
	assert.Error(t, within(t, ended, "the end of the call"))
	assert.GreaterOrEqual(t, time.Since(began), grace)
}

// Both transports of the SDK work through the proxy, with a client's name in the path
// and without.
func TestTheSDKsClientWorksOverBothTransports(t *testing.T) {
	newServer := func(*http.Request) *mcp.Server {
		server := mcp.NewServer(&mcp.Implementation{Name: "portal", Version: "1"}, nil)
		mcp.AddTool(server, &mcp.Tool{Name: "greet"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "hello"}}}, nil, nil
		})
		return server
	}
	sse := mcp.NewSSEHandler(newServer, nil)
	absolute := func(w http.ResponseWriter, r *http.Request) { // endpoint as other SDKs name it
		sse.ServeHTTP(&endpointAs{ResponseWriter: w, to: "data: /sse?"}, r)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcp.NewStreamableHTTPHandler(newServer, &mcp.StreamableHTTPOptions{Stateless: true}))
	mux.Handle("/v1/stateful/mcp", mcp.NewStreamableHTTPHandler(newServer, nil))
	mux.Handle("/sse", sse)
	mux.Handle("/v1/absolute/sse", http.StripPrefix("/v1/absolute", http.HandlerFunc(absolute)))
	server := upstream(t, mux.ServeHTTP)

	for _, targets := range [][]string{{"acme=" + server.URL}, {"acme=" + server.URL, "globex=" + server.URL}} {
		h := start(t, targets...)
		transport := &http.Transport{}
		httpClient := &http.Client{Transport: transport}
		transports := map[string]mcp.Transport{}
		prefixes := []string{"/acme"}
		if len(targets) == 1 {
			prefixes = append(prefixes, "")
		}
		for _, prefix := range prefixes {
			for _, path := range []string{"/mcp", "/v1/stateful/mcp"} {
				transports[prefix+path] = &mcp.StreamableClientTransport{Endpoint: h.URL() + prefix + path, HTTPClient: httpClient}
			}
			for _, path := range []string{"/sse", "/v1/absolute/sse"} {
				transports[prefix+path] = &mcp.SSEClientTransport{Endpoint: h.URL() + prefix + path, HTTPClient: httpClient}
			}
		}
		for path, transport := range transports {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(ctx, transport, nil)
			require.NoError(t, err, path)
			result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "greet"})
			require.NoError(t, err, path)
			assert.Equal(t, "hello", result.Content[0].(*mcp.TextContent).Text)
			assert.NoError(t, session.Close(), path)
			cancel()
		}
		transport.CloseIdleConnections()
	}
}

// endpointAs makes the SDK's path-relative endpoint another one.
type endpointAs struct {
	http.ResponseWriter
	to string
}

func (e *endpointAs) Write(p []byte) (int, error) {
	_, err := io.WriteString(e.ResponseWriter, strings.Replace(string(p), "data: /sse?", e.to, 1))
	return len(p), err
}

func (e *endpointAs) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// What a person sees in an editor when they have no access is the proxy's sentence.
func TestTheSDKsClientShowsTheSentence(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusForbidden) })
	h := start(t, "acme="+server.URL)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	_, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(ctx,
		&mcp.StreamableClientTransport{Endpoint: h.URL() + "/acme/mcp", HTTPClient: &http.Client{Transport: transport}}, nil)
	require.Error(t, err)
	assert.ErrorContains(t, err, "ada@example.com may not use acme")
}
