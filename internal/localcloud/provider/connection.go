package provider

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/stats"
)

// perConnection keeps each engine's provider configuration apart. The engine
// would start one plugin process for each provider resource of each stack; here
// they all attach to this server, each over a connection of its own.
type perConnection struct{}

type connectionKey struct{}

// connection is the state of one attached provider.
type connection struct{ client atomic.Pointer[client] }

// TagConn gives a new connection its state.
func (perConnection) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, connectionKey{}, new(connection))
}

// HandleConn ends what a lost connection had in flight: its engine is gone.
func (perConnection) HandleConn(ctx context.Context, s stats.ConnStats) {
	if _, ended := s.(*stats.ConnEnd); !ended {
		return
	}
	if c := configuredClient(ctx); c != nil {
		c.cancel()
	}
}

// TagRPC and HandleRPC are of no interest here.
func (perConnection) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC does nothing.
func (perConnection) HandleRPC(context.Context, stats.RPCStats) {}

// configuredClient is the client that Configure made on this connection, or
// nil.
func configuredClient(ctx context.Context) *client {
	conn, ok := ctx.Value(connectionKey{}).(*connection)
	if !ok {
		return nil
	}
	return conn.client.Load()
}
