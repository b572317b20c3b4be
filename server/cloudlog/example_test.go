package cloudlog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/berth-mcp/berth/server/cloudlog"
)

// A record that is written while a request is answered names the request's trace.
func ExampleWithTrace() {
	var out bytes.Buffer
	logger := cloudlog.New(&out, slog.LevelInfo, "my-project")
	handler := cloudlog.WithTrace(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		logger.WarnContext(r.Context(), "the stock is low", "left", 3)
	}))

	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	handler.ServeHTTP(httptest.NewRecorder(), request)

	var record map[string]any
	if err := json.Unmarshal(out.Bytes(), &record); err != nil {
		panic(err)
	}
	fmt.Println(record["severity"], record["message"], record["left"])
	fmt.Println(record["logging.googleapis.com/trace"])
	// Output:
	// WARNING the stock is low 3
	// projects/my-project/traces/4bf92f3577b34da6a3ce929d0e0e4736
}
