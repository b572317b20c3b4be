package relay

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnEventStreamThatIsSilentIsKeptAliveBetweenEventsAlone(t *testing.T) {
	const silence = 20 * time.Millisecond
	for name, test := range map[string]struct {
		contentType string
		parts       []string
		alive       bool // after the parts
	}{
		"before the first event":                   {"text/event-stream", nil, true},
		"after an event":                           {"text/event-stream; charset=utf-8", []string{"data: 1\n\n"}, true},
		"after an event with CR LF":                {"text/event-stream", []string{"data: 1\r\n\r\n"}, true},
		"after an event in parts":                  {"text/event-stream", []string{"data: 1\r", "\n", "\r", "\n"}, true},
		"after a comment and its empty line":       {"text/event-stream", []string{": hi\n\n"}, true},
		"in an event":                              {"text/event-stream", []string{"data: 1\n"}, false},
		"in a line":                                {"text/event-stream", []string{"data: 1\n\ndata"}, false},
		"after a CR that some take for a line":     {"text/event-stream", []string{"data: 1\r\r"}, false},
		"after a CR and an end":                    {"text/event-stream", []string{"data: 1\r\r\n"}, false},
		"after an empty line whose end is missing": {"text/event-stream", []string{"data: 1\n\n\r"}, false},
		"in what is no event stream":               {"text/plain", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			parts := make(chan string)
			server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", test.contentType)
				_ = http.NewResponseController(w).Flush()
				for part := range parts {
					_, _ = io.WriteString(w, part)
					_ = http.NewResponseController(w).Flush()
				}
			})
			h := startWith(t, Options{Targets: parse(t, "acme="+server.URL)}, func(s *Relay) { s.keepAliveEvery = silence })
			resp, err := client(t).Do(h.request(t, http.MethodPost, "/mcp", call))
			require.NoError(t, err)
			defer resp.Body.Close()
			go func() {
				for _, part := range test.parts {
					parts <- part
				}
			}()
			var got []byte // and comments, before it and between
			for strings.ReplaceAll(string(got), keepAliveComment, "") != strings.Join(test.parts, "") {
				var b [1]byte
				_, err := resp.Body.Read(b[:])
				require.NoError(t, err, "%q", got)
				got = append(got, b[0])
			}
			if test.alive {
				defer close(parts)
				for range 3 {
					got := make([]byte, len(keepAliveComment))
					_, err = io.ReadFull(resp.Body, got)
					require.NoError(t, err)
					require.Equal(t, keepAliveComment, string(got))
				}
			} else {
				// Time enough for a comment, if there were one.
				time.AfterFunc(5*silence, func() { parts <- "x\n\n"; close(parts) })
				rest, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				assert.Equal(t, "x\n\n", string(rest))
			}
		})
	}
}

// events is what a reader of event streams makes of one: name and data of each event. With
// lax, a CR alone is no end of a line, as for the Go SDK.
func events(stream string, lax bool) []string {
	stream = strings.TrimPrefix(stream, "\ufeff")
	stream = strings.ReplaceAll(stream, "\r\n", "\n")
	if !lax {
		stream = strings.ReplaceAll(stream, "\r", "\n")
	}
	var all []string
	var name string
	var data []string
	lines := strings.Split(stream, "\n")
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			if data != nil {
				all = append(all, fmt.Sprintf("%q %q", name, data))
			}
			name, data = "", nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimPrefix(value, " "); field {
		case "event":
			name = value
		case "data":
			data = append(data, value)
		}
	}
	return all
}

// Whatever a server sends, and in whatever parts: with comments wherever the proxy would
// put them, every reader sees the same events.
func FuzzKeepAliveChangesNoEvent(f *testing.F) {
	for _, seed := range []string{
		"", "\ufeffdata: 1\n\n", "event: a\ndata: 1\n\ndata: 2\ndata: 3\r\n\r\n", "data: 1\r\rdata: 2\r\r\n\n", "\r\n\r\ndata\n\n: c\n\n", "\n\r\n\rdata: x",
	} {
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		w := httptest.NewRecorder()
		l := newLiveWriter(w, func() error { return nil }, time.Hour)
		defer l.Close()
		for rest := stream; ; {
			l.mu.Lock()
			l.last = time.Time{} // it has been silent for long
			l.mu.Unlock()
			l.tick()
			if len(rest) == 0 {
				break
			}
			n := min(len(rest), int(size)+1)
			_, err := l.Write(rest[:n])
			require.NoError(t, err)
			rest = rest[n:]
		}
		for _, lax := range []bool{false, true} {
			assert.Equal(t, events(string(stream), lax), events(w.Body.String(), lax), "lax %t", lax)
		}
		if len(stream) == 0 {
			assert.Equal(t, keepAliveComment, w.Body.String())
		}
	})
}
