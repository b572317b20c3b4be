package endpoint

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func get(t *testing.T, handler http.Handler) *http.Response {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestASilentStreamIsKeptAliveBetweenItsEvents(t *testing.T) {
	next := make(chan struct{})
	response := get(t, keepAliveAfter(time.Millisecond, time.Minute, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for n := range 3 {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", n)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
			}
		}
	})))
	lines := bufio.NewScanner(response.Body)
	// block is the next event or comment.
	block := func() string {
		var b strings.Builder
		for lines.Scan() && lines.Text() != "" {
			b.WriteString(lines.Text())
		}
		return b.String()
	}
	for n := range 3 {
		event := block()
		for event == ": keep-alive" { // one that was on its way
			event = block()
		}
		assert.Equal(t, fmt.Sprintf("data: %d", n), event)
		for range 3 {
			assert.Equal(t, ": keep-alive", block())
		}
		next <- struct{}{}
	}
}

func TestWhatIsNoEventStreamIsLeftAlone(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("{"))
			time.Sleep(5 * time.Millisecond) // as long as several comments would take
			_, _ = w.Write([]byte("}"))
		},
		"a refused stream": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusServiceUnavailable)
			time.Sleep(5 * time.Millisecond)
			_, _ = w.Write([]byte("{}"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := new(strings.Builder)
			response := get(t, keepAliveAfter(time.Millisecond, time.Minute, handler))
			_, err := bufio.NewReader(response.Body).WriteTo(body)
			require.NoError(t, err)
			assert.Equal(t, "{}", body.String())
		})
	}
}

func TestNothingIsWrittenWhenTheHandlerHasReturned(t *testing.T) {
	recorder := httptest.NewRecorder()
	k := &keepAliveWriter{ResponseWriter: recorder, silence: time.Hour}
	k.Header().Set("Content-Type", "text/event-stream")
	k.WriteHeader(http.StatusOK)
	k.end()
	k.comment()
	assert.Empty(t, recorder.Body.String())
}

func TestAClientThatDoesNotReadIsNotWaitedFor(t *testing.T) {
	ended := make(chan error, 1)
	get(t, keepAliveAfter(time.Hour, 10*time.Millisecond, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		event := []byte("data: " + strings.Repeat("x", 1<<20) + "\n\n")
		for {
			if _, err := w.Write(event); err != nil {
				<-r.Context().Done() // as for a client that has gone
				ended <- err
				return
			}
		}
	})))
	assert.ErrorIs(t, <-ended, os.ErrDeadlineExceeded)
}
