package instance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// Probe says how a container shows that it is ready, or alive. The zero value is Cloud
// Run's default: a TCP connection to PORT within 240 s.
type Probe struct {
	// HTTPPath makes it an HTTP probe: good is a GET that answers 200 to 399.
	HTTPPath string
	// GRPC makes it a probe by gRPC's health checking protocol, for the service
	// of that name; empty is the server as a whole.
	GRPC        bool
	GRPCService string
	// Headers of the HTTP probe.
	Headers http.Header
	// Port to probe; 0 is PORT.
	Port int
	// Attempt bounds one attempt; 0 is 1 s.
	Attempt time.Duration
	// Deadline bounds them all when it is about readiness, from the start of the
	// process; 0 is 240 s.
	Deadline time.Duration
}

// Cloud Run's default startup probe is one attempt of 240 s.
const (
	defaultDeadline = 240 * time.Second
	defaultAttempt  = time.Second
	// pollInterval is shorter than any probe's period on Cloud Run (1 s or
	// more): a start takes milliseconds, so should noticing it.
	pollInterval = 10 * time.Millisecond
)

// wait returns nil once the probe succeeds, or the context's error.
func (p Probe) wait(ctx context.Context) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if p.once(ctx) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (p Probe) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.Attempt)
	defer cancel()
	switch {
	case p.HTTPPath != "":
		return p.get(ctx)
	case p.GRPC:
		return p.health(ctx)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", loopback(p.Port))
	if err != nil {
		return err
	}
	return conn.Close()
}

func (p Probe) get(ctx context.Context) error {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+loopback(p.Port)+p.HTTPPath, nil)
	if err != nil {
		return err
	}
	req.Header = p.Headers.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	res, err := transport.RoundTrip(req) // follows no redirect: one counts as ready
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return fmt.Errorf("%s answered %s", p.HTTPPath, res.Status)
	}
	return nil
}

// health asks by https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
func (p Probe) health(ctx context.Context) error {
	conn, err := grpc.NewClient("passthrough:///"+loopback(p.Port),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: p.GRPCService})
	if err != nil {
		return err
	}
	if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("it answered %s", answer.GetStatus())
	}
	return nil
}

// kind is Cloud Run's name for it.
func (p Probe) kind() string {
	switch {
	case p.HTTPPath != "":
		return "HTTP"
	case p.GRPC:
		return "GRPC"
	default:
		return "TCP"
	}
}
