package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/berth-mcp/berth/server/cloudlog"
	"github.com/berth-mcp/berth/server/endpoint"
	"github.com/berth-mcp/berth/server/guard"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// served is a server in this process, with a tool that answers when told to.
type served struct {
	session *mcp.ClientSession
	log     *logLines
	stop    context.CancelFunc
	stopped chan error
	running chan struct{}
	answer  chan struct{}
}

func serveSlowTool(t *testing.T, version string, grace time.Duration) served {
	t.Helper()
	cfg, err := loadConfig(env{"BERTH_CLIENT": "acme", "BERTH_IDENTITY": "dev", "PORT": "0"}.get)
	require.NoError(t, err)
	cfg.grace = grace

	ctx, stop := context.WithCancel(t.Context())
	s := served{stop: stop, stopped: make(chan error, 1), running: make(chan struct{}, 1), answer: make(chan struct{})}
	lines, out := io.Pipe()
	logger := cloudlog.New(out, slog.LevelInfo, "")
	handler, err := endpointWith(cfg, logger, func(g *guard.Guard) {
		guard.AddTool(g, guard.Viewer, &mcp.Tool{Name: "slow"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			s.running <- struct{}{}
			select {
			case <-s.answer:
			case <-t.Context().Done():
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "late but here"}}}, nil, nil
		})
	})
	require.NoError(t, err)
	s.log = follow(lines)
	go func() {
		s.stopped <- serve(ctx, cfg, handler, logger)
		_ = out.Close()
	}()

	url := "http://" + s.log.await(t, "listening")["address"].(string)
	s.session, err = mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: url + "/mcp", MaxRetries: -1}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.session.Close() })
	return s
}

func TestACallThatIsRunningWhenTheServerStopsIsAnswered(t *testing.T) {
	for _, version := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(version, func(t *testing.T) {
			s := serveSlowTool(t, version, deadline)
			type answer struct {
				result *mcp.CallToolResult
				err    error
			}
			answered := make(chan answer, 1)
			go func() {
				result, err := s.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "slow"})
				answered <- answer{result, err}
			}()
			<-s.running
			s.stop()
			s.log.await(t, stopping)
			close(s.answer)

			got := <-answered
			require.NoError(t, got.err)
			assert.Equal(t, "late but here", got.result.Content[0].(*mcp.TextContent).Text)
			require.NoError(t, <-s.stopped)
		})
	}
}

func TestACallThatDoesNotFinishIsCutAndSaidSo(t *testing.T) {
	s := serveSlowTool(t, "2026-07-28", 50*time.Millisecond)
	called := make(chan error, 1)
	go func() {
		_, err := s.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "slow"})
		called <- err
	}()
	<-s.running
	s.stop()
	require.ErrorContains(t, <-s.stopped, "some calls did not finish, and were cut")
	require.Error(t, <-called)
}

func TestAPortThatIsTakenIsOneClearMessage(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	err = run(t.Context(), env{"BERTH_CLIENT": "acme", "BERTH_IDENTITY": "dev", "PORT": port}.get, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "cannot start: listen tcp 127.0.0.1:"+port)
	assert.ErrorContains(t, err, "choose another PORT")
}

// endpointWith is an endpoint with other tools than the portal's.
func endpointWith(cfg config, logger *slog.Logger, register func(*guard.Guard)) (*endpoint.Handler, error) {
	return endpoint.New(endpoint.Options{
		Implementation: &mcp.Implementation{Name: "test", Version: "1"},
		Register:       register,
		Verifier:       cfg.verifier,
		Client:         cfg.client,
		Logger:         logger,
	})
}
