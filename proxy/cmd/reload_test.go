package cmd

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/relay"
)

// A client that was removed does not stay until the service of another one is found.
func TestReloader_RemovalDoesNotWaitForLookup(t *testing.T) {
	w := newWorld(t)
	handed := make(chan []string, 10)
	var asked atomic.Bool
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Store(true)
		<-r.Context().Done()
	}))
	t.Cleanup(api.Close)
	t.Setenv("BERTH_PROXY_RUN_URL", api.URL)
	require.NoError(t, os.MkdirAll(filepath.Dir(w.file), 0o700))
	require.NoError(t, os.WriteFile(w.file, []byte("clients:\n  acme: {url: http://127.0.0.1:9}\n  hooli: {project: other-project, region: europe-west1, service: berth-hooli}\n"), 0o600))
	c := &common{}
	root := newRoot(c)
	root.SetArgs([]string{"list"})
	root.SetOut(io.Discard)
	require.NoError(t, root.Execute())
	log := slog.New(slog.DiscardHandler)
	r := &reloader{common: c, tokens: c.tokens(log), log: log, targets: func(targets []relay.Target) {
		assert.False(t, asked.Load(), "what is known is handed on before a service is looked for")
		handed <- names(targets)
	}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.follow(ctx)
	}()
	select {
	case got := <-handed:
		assert.Equal(t, []string{"acme"}, got)
	case <-time.After(deadline):
		require.FailNow(t, "nothing was handed on")
	}
	require.Eventually(t, asked.Load, deadline, time.Millisecond, "the service is looked for all the same")
	cancel()
	<-ended
}
