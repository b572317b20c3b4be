package cloudlog_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
	"github.com/berth-mcp/berth/server/cloudlog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func decode(t *testing.T, line []byte) map[string]any {
	t.Helper()
	var record map[string]any
	require.NoError(t, json.Unmarshal(line, &record), "not one line of JSON: %s", line)
	return record
}

func TestARecordHasTheNamesThatCloudLoggingReads(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: "DEBUG",
		slog.LevelInfo:  "INFO",
		slog.LevelWarn:  "WARNING",
		slog.LevelError: "ERROR",
	} {
		t.Run(want, func(t *testing.T) {
			var out bytes.Buffer
			cloudlog.New(&out, slog.LevelDebug, "").With("client", "acme").
				Log(t.Context(), level, "hello", slog.Group("inner", "msg", "kept", "level", "kept"))
			record := decode(t, out.Bytes())
			assert.Equal(t, want, record["severity"])
			assert.Equal(t, "hello", record["message"])
			assert.Equal(t, "acme", record["client"])
			assert.Equal(t, map[string]any{"msg": "kept", "level": "kept"}, record["inner"])
			assert.Contains(t, record, "time")
			assert.NotContains(t, record, "level")
			assert.NotContains(t, record, "msg")
			assert.NotContains(t, record, "logging.googleapis.com/trace")
		})
	}
}

func TestARecordCarriesTheTraceOfItsRequest(t *testing.T) {
	const (
		w3c   = "4bf92f3577b34da6a3ce929d0e0e4736"
		cloud = "105445aa7843bc8bf206b12000100000"
	)
	for _, c := range []struct {
		name, project, traceparent, cloudTrace, want string
	}{
		{"traceparent", "p1", "00-" + w3c + "-00f067aa0ba902b7-01", "", "projects/p1/traces/" + w3c},
		{"X-Cloud-Trace-Context", "p1", "", cloud + "/1;o=1", "projects/p1/traces/" + cloud},
		{"X-Cloud-Trace-Context without a span", "p1", "", cloud, "projects/p1/traces/" + cloud},
		{"both", "p1", "00-" + w3c + "-00f067aa0ba902b7-01", cloud + "/1;o=1", "projects/p1/traces/" + w3c},
		{"no project", "", "00-" + w3c + "-00f067aa0ba902b7-01", "", w3c},
		{"malformed traceparent", "p1", "00-xyz-00f067aa0ba902b7-01", cloud + "/1", "projects/p1/traces/" + cloud},
		{"a trace of zeros", "p1", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "", ""},
		{"something else in the header", "p1", "", `x","severity":"ERROR`, ""},
		{"none", "p1", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			logger := cloudlog.AtLeast(cloudlog.New(&out, slog.LevelInfo, c.project), slog.LevelInfo).With("a", 1)
			handler := cloudlog.WithTrace(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				logger.InfoContext(r.Context(), "hello")
			}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Traceparent", c.traceparent)
			r.Header.Set("X-Cloud-Trace-Context", c.cloudTrace)
			handler.ServeHTTP(httptest.NewRecorder(), r)
			trace, _ := decode(t, out.Bytes())["logging.googleapis.com/trace"].(string)
			assert.Equal(t, c.want, trace)
		})
	}
}

func TestAtLeastDropsWhatIsBelow(t *testing.T) {
	var out bytes.Buffer
	logger := cloudlog.AtLeast(cloudlog.New(&out, slog.LevelInfo, ""), slog.LevelWarn).With("a", 1).WithGroup("g")
	logger.Info("noise")
	assert.Empty(t, out.String())
	logger.Warn("news")
	assert.Equal(t, "news", decode(t, out.Bytes())["message"])
}

func TestARecordIsPlainOnATerminalAndTheSameForPrograms(t *testing.T) {
	for _, attack := range plaintexttest.InUTF8() {
		t.Run(attack.Name, func(t *testing.T) {
			var out bytes.Buffer
			cloudlog.New(&out, slog.LevelInfo, "").Info(attack.Text, "title", attack.Text)
			plaintexttest.AssertPlain(t, out.String())
			assert.Equal(t, 1, strings.Count(out.String(), "\n"))
			record := decode(t, out.Bytes())
			assert.Equal(t, attack.Text, record["message"])
			assert.Equal(t, attack.Text, record["title"])
		})
	}
}
