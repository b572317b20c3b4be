// Package endpoint puts the server's HTTP surface together: MCP at /mcp and
// /sse, /health, and what has to happen to a request before it reaches a tool.
//
// It must not know any tool, nor listen on anything: tests and benchmarks use
// the very handler that the process serves.
package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/berth-mcp/berth/server/cloudlog"
	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/telemetry"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Options say what to serve. All fields are required unless they say
// otherwise.
type Options struct {
	// Implementation is how the server names itself.
	Implementation *mcp.Implementation
	// Instructions tell a model what the server is for. Optional.
	Instructions string
	// Register adds tools, resources and prompts, each with the role that it needs.
	Register func(*guard.Guard)
	// Complete answers completion/complete. Optional.
	Complete func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error)
	// Version names the state that a resource is in; see [guard.Options]. Optional;
	// without it there are no subscriptions.
	Version func(ctx context.Context, uri string) (string, error)
	// Verifier tells who is calling.
	Verifier identity.Verifier
	// Client is the company whose server this is.
	Client string
	// Access and Limits are the guard's. Optional.
	Access guard.Access
	Limits guard.Limits
	// Ready says why the server cannot do its work, if it cannot. Optional.
	Ready func(context.Context) error
	// Telemetry takes traces and metrics of the calls. Optional.
	Telemetry *telemetry.Telemetry
	// Logger takes the records of calls and refusals.
	Logger *slog.Logger
	// LoopbackHostOnly refuses requests whose Host is not this machine, which
	// is what a web page that resolves its own name to 127.0.0.1 would send.
	// It is for a server on loopback that asks for no identity.
	LoopbackHostOnly bool
}

// Handler is the server's HTTP surface.
type Handler struct {
	http.Handler
	sse *sse

	stopping context.Context // done when the process begins to stop
	stop     context.CancelFunc
}

// New assembles a handler. An error is one of the options': Access or Limits name
// a tool, a resource or a prompt that Register does not add, for one.
func New(o Options) (*Handler, error) {
	if o.Implementation == nil || o.Register == nil || o.Verifier == nil || o.Logger == nil || o.Client == "" {
		return nil, errors.New("assembling the endpoint: Implementation, Register, Verifier, Client and Logger are required")
	}

	h := &Handler{}
	h.stopping, h.stop = context.WithCancel(context.Background())
	guarded := newGuard(o, h.stopping)
	o.Register(guarded)
	streamable, err := serveStreamable(guarded, o.Logger)
	if err != nil {
		return nil, err
	}
	h.sse = newSSE(guarded)
	front := func(next http.Handler) http.Handler {
		return guardOrigin(o.LoopbackHostOnly, identity.Require(o.Verifier, o.Logger, admit(guarded, boundBody(unbuffered(next)))))
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", front(keepAlive(withoutSession(streamable))))
	mux.Handle("/sse", front(keepAlive(h.sse)))
	mux.HandleFunc("GET /health", health)
	mux.HandleFunc("GET /ready", h.ready(o))
	if v, ok := o.Verifier.(*identity.OIDC); ok {
		for _, path := range v.MetadataPaths() {
			mux.Handle(path, v.MetadataHandler(o.Implementation.Title))
		}
	}
	h.Handler = cloudlog.WithTrace(o.Telemetry.HTTP(mux))
	return h, nil
}

// Drain ends what would otherwise go on for ever: subscriptions, with their
// answer, and the event streams of /sse, each as soon as the calls made through
// it have been answered, and all of them when ctx is done. New ones are refused,
// and /ready says that no more requests are wanted. It returns once the last has
// been told to end. Other requests to /mcp end by themselves;
// [http.Server.Shutdown] waits for them.
func (h *Handler) Drain(ctx context.Context) {
	h.stop()
	h.sse.drain(ctx)
}

func newGuard(o Options, stopping context.Context) *guard.Guard {
	return guard.New(o.Implementation, guard.Options{
		Server: &mcp.ServerOptions{
			Instructions: o.Instructions,
			Logger:       cloudlog.AtLeast(o.Logger, slog.LevelWarn),
			// The lists do not change while the server runs, so there is nothing
			// to notify anyone of; and logging to clients is deprecated.
			Capabilities: &mcp.ServerCapabilities{
				Tools: &mcp.ToolCapabilities{}, Prompts: &mcp.PromptCapabilities{}, Resources: &mcp.ResourceCapabilities{},
			},
			CompletionHandler: o.Complete,
			SetCacheable:      cacheable,
			// No KeepAlive: its pings need a session, and without one they end
			// the call that is running.
		},
		Client: o.Client, Access: o.Access, Limits: o.Limits, Logger: o.Logger,
		Observe: o.Telemetry.Observe, Trace: o.Telemetry.Trace,
		Middleware: []mcp.Middleware{honestCapabilities, listenUntil(stopping)},
		Version:    o.Version,
	})
}

// listsFor is how long a client may keep a list, in milliseconds. It is another only
// when another revision runs or the caller's role changes, which Cloud Run and Google
// groups take minutes for.
const listsFor = 60_000

// cacheable says what a client may keep: what one developer gets is nobody else's, and
// data may change at any time.
func cacheable(_ context.Context, req mcp.Request, c *mcp.Cacheable) {
	c.CacheScope = "private"
	if _, data := req.GetParams().(*mcp.ReadResourceParams); !data {
		c.TTLMs = listsFor
	}
}

// serveStreamable serves every protocol revision since 2025-03-26. Stateless,
// because the platform may send each request to another instance.
func serveStreamable(g *guard.Guard, logger *slog.Logger) (http.Handler, error) {
	return g.StreamableHTTPHandler(&mcp.StreamableHTTPOptions{
		Logger:                       cloudlog.AtLeast(logger, slog.LevelWarn),
		MaxRequestBodyBytes:          MaxBody,
		PropagateRequestCancellation: true,
		DisableLocalhostProtection:   true, // guardOrigin does it, for both transports
	})
}

func health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
}

// ready tells a load balancer whether to send requests here. Why not is in the
// log: whoever asks need not be anyone.
func (h *Handler) ready(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		status := "ready"
		if h.stopping.Err() != nil {
			status = "stopping"
		} else if o.Ready != nil {
			if err := o.Ready(r.Context()); err != nil {
				o.Logger.ErrorContext(r.Context(), "not ready", "error", err.Error())
				status = "not ready"
			}
		}
		if status != "ready" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = fmt.Fprintf(w, "{\"status\":%q}\n", status)
	}
}
