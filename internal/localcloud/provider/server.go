package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// pluginVersion is the release of pulumi-gcp that the provider stands in for.
const pluginVersion = "8.41.1"

// maxMessageBytes bounds one gRPC message: a resource with its whole state.
const maxMessageBytes = 64 << 20

// Options of [Serve].
type Options struct {
	// Nonce is what the invoke gcp:localcloud/attached:attached answers. Only
	// this provider has that invoke, and only its owner knows the nonce, so a
	// program can prove that no real plugin is at work.
	Nonce string
	// Logger defaults to one that discards. No token is ever logged.
	Logger *slog.Logger
}

// Server is a provider that listens on loopback.
type Server struct {
	pulumirpc.UnimplementedResourceProviderServer

	nonce    string
	log      *slog.Logger
	listener net.Listener
	grpc     *grpc.Server
	served   chan error
	close    func() error

	// running ends when the server is closed; every call to an API is bound to
	// it.
	running context.Context
	cancel  context.CancelFunc
}

// Serve starts a provider on a free port of 127.0.0.1. It stops on Close or
// when ctx ends.
func Serve(ctx context.Context, o Options) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the pulumi engine on loopback: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	running, cancel := context.WithCancel(ctx)
	s := &Server{
		nonce:    o.Nonce,
		log:      o.Logger,
		listener: listener,
		grpc: grpc.NewServer(
			grpc.MaxRecvMsgSize(maxMessageBytes),
			grpc.MaxSendMsgSize(maxMessageBytes),
			grpc.StatsHandler(perConnection{}),
		),
		served:  make(chan error, 1),
		running: running,
		cancel:  cancel,
	}
	s.close = sync.OnceValue(s.stop)
	pulumirpc.RegisterResourceProviderServer(s.grpc, s)
	go func() { s.served <- s.grpc.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return s, nil
}

// Port is the port that PULUMI_DEBUG_PROVIDERS=gcp:PORT names.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// Close ends calls in flight and frees the port. It may be called more than
// once.
func (s *Server) Close() error { return s.close() }

func (s *Server) stop() error {
	s.cancel()
	s.grpc.Stop()
	if err := <-s.served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serving the pulumi engine: %w", err)
	}
	return nil
}

// GetPluginInfo says which plugin this one stands in for.
func (s *Server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: pluginVersion}, nil
}

// Attach is called by an engine that finds the provider already running. The
// engine's address is of no use here: the provider never calls back.
func (s *Server) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// Cancel is the engine's request to end what is in flight, on the way out of an
// interrupted command. The server outlives it: the next command attaches anew.
func (s *Server) Cancel(ctx context.Context, _ *emptypb.Empty) (*emptypb.Empty, error) {
	if c := configuredClient(ctx); c != nil {
		c.cancel()
	}
	return &emptypb.Empty{}, nil
}
