package bridge

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// A seen is a request that a scripted server got.
type seen struct {
	method, path string
	header       http.Header
	body         string
	rpc          struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
}

// A script is a server of which a test says what it answers to each method of JSON-RPC, or,
// with "GET" and "DELETE", of HTTP.
type script struct {
	t      *testing.T
	answer map[string]func(w http.ResponseWriter, r *http.Request, got seen)

	mu  sync.Mutex
	got []seen
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	got := seen{method: r.Method, path: r.URL.Path, header: r.Header.Clone(), body: string(body)}
	_ = json.Unmarshal(body, &got.rpc)
	s.mu.Lock()
	s.got = append(s.got, got)
	s.mu.Unlock()
	key := got.rpc.Method
	if r.Method != http.MethodPost {
		key = r.Method
	}
	if answer := s.answer[key]; answer != nil {
		answer(w, r, got)
		return
	}
	switch {
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case len(got.rpc.ID) == 0 || got.rpc.Method == "":
		w.WriteHeader(http.StatusAccepted)
	default:
		reply(w, got, `"result":{}`)
	}
}

// all are the requests so far, in their order.
func (s *script) all() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *script) requests(method string) (found []seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.got {
		if r.rpc.Method == method || r.method == method && r.method != http.MethodPost {
			found = append(found, r)
		}
	}
	return found
}

// reply answers a call in JSON.
func reply(w http.ResponseWriter, got seen, outcome string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, got.rpc.ID, outcome)
}

// stream answers with an event stream, which ends with the function.
func stream(w http.ResponseWriter, events ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range events {
		_, _ = io.WriteString(w, e+"\n\n")
		_ = http.NewResponseController(w).Flush()
	}
}

type answers = map[string]func(http.ResponseWriter, *http.Request, seen)

func newScript(t *testing.T, a answers) (*rig, *script) {
	t.Helper()
	s := &script{t: t, answer: a}
	return newRig(t, serve(t, s)), s
}
