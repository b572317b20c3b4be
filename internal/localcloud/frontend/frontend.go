package frontend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/berth-mcp/berth/internal/localcloud/identity"
	"github.com/berth-mcp/berth/internal/localcloud/instance"
)

const (
	// defaultIdleTimeout is how long Cloud Run keeps an idle instance at most.
	defaultIdleTimeout = 15 * time.Minute
	// defaultQueueTimeout is the least time that Cloud Run lets a request wait
	// for an instance.
	defaultQueueTimeout = 10 * time.Second
)

// Options configure a FrontEnd.
type Options struct {
	// Directory knows the callers. Required.
	Directory *identity.Directory
	// Policy returns the members of roles/run.invoker on a service
	// (projects/P/locations/L/services/S) now. It is asked at every request.
	// Required.
	Policy func(service string) []string
	// Images are where containers' images come from. Required.
	Images *instance.Images
	// Secret reads a version of a secret, projects/P/secrets/S/versions/V, as a
	// service account. It is asked at the start of each instance. Required.
	Secret func(account, version string) ([]byte, error)
	// Projects are the numbers of the projects, by id. Required.
	Projects map[string]int64
	// Env is what this machine adds to the variables of every instance, below
	// those that the service itself sets: for example what makes a program
	// listen on loopback alone.
	Env map[string]string
	// IdleTimeout after which an instance without requests is stopped; 0 is
	// 15 min, as on Cloud Run.
	IdleTimeout time.Duration
	// QueueTimeout bounds the wait for a free instance while none is starting;
	// 0 is 10 s, as on Cloud Run. Then the answer is 429.
	QueueTimeout time.Duration
	// Grace between SIGTERM and SIGKILL; 0 is 10 s, as on Cloud Run.
	Grace time.Duration
	// Logger receives requests and what instances write; nil is none.
	Logger *slog.Logger
}

// FrontEnd serves any number of services. It is safe for concurrent use.
type FrontEnd struct {
	options   Options
	logger    *slog.Logger
	transport *http.Transport // to the instances

	mu       sync.Mutex
	services map[string]*service // by full name
	closed   bool
}

// Instance is a running instance, for tests and status.
type Instance struct {
	PID      int
	Revision string
	// Active is the number of requests that it is serving.
	Active int
}

// New checks the options and returns a FrontEnd that serves nothing yet.
func New(o Options) (*FrontEnd, error) {
	var missing []string
	for name, set := range map[string]bool{"Directory": o.Directory != nil, "Policy": o.Policy != nil, "Images": o.Images != nil, "Secret": o.Secret != nil, "Projects": o.Projects != nil} {
		if !set {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("frontend: set the required options %s", strings.Join(missing, ", "))
	}
	o.IdleTimeout = cmp.Or(o.IdleTimeout, defaultIdleTimeout)
	o.QueueTimeout = cmp.Or(o.QueueTimeout, defaultQueueTimeout)
	logger := o.Logger
	if logger == nil {
		logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return &FrontEnd{options: o, logger: logger, transport: newTransport(), services: map[string]*service{}}, nil
}

// Deploy makes a service (Name is projects/P/locations/L/services/S) serve
// from a revision, whose name may be short or full, and returns the service's
// URL. The first deployment opens the service's address, which it keeps.
//
// As Cloud Run's deployment check does, one instance of a new revision is
// started; when it is ready, requests go to it, and the instances of the
// revision before are stopped as their requests end. If it does not become
// ready, Deploy fails with what it wrote, and the revision before goes on
// serving; the URL is returned also then. A revision that already serves is
// kept, and what belongs to the service itself (custom audiences, scaling,
// whether IAM is asked) is applied to it.
func (f *FrontEnd) Deploy(ctx context.Context, svc *runpb.Service, revision string) (uri string, err error) {
	wanted, err := readSpec(svc)
	if err != nil {
		return "", fmt.Errorf("deploying %s: %w", svc.GetName(), err)
	}
	s, err := f.open(svc.GetName())
	if err != nil {
		return "", fmt.Errorf("deploying %s: %w", svc.GetName(), err)
	}
	if err := s.deploy(ctx, wanted, path.Base(revision)); err != nil {
		return s.url, fmt.Errorf("deploying %s: %w", svc.GetName(), err)
	}
	return s.url, nil
}

// open returns a service, with its address opened if it is new.
func (f *FrontEnd) open(name string) (*service, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errors.New("the front end is closed")
	}
	if s, ok := f.services[name]; ok {
		return s, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the service's address: %w", err)
	}
	s := newService(f, name, listener)
	f.services[name] = s
	return s, nil
}

// Remove closes a service's address, stops its instances with SIGTERM and the
// grace, and returns when they are gone. Requests in flight may end within
// the grace. If the context ends before, instances are killed. A service that
// is not there is no error.
func (f *FrontEnd) Remove(ctx context.Context, service string) error {
	f.mu.Lock()
	s, ok := f.services[service]
	delete(f.services, service)
	f.mu.Unlock()
	if ok {
		s.close(ctx)
	}
	return nil
}

// Instances returns the instances of a service that serve or still finish
// requests, in the order in which they became ready.
func (f *FrontEnd) Instances(service string) []Instance {
	f.mu.Lock()
	s, ok := f.services[service]
	f.mu.Unlock()
	if !ok {
		return nil
	}
	return s.instances()
}

// Close removes every service and returns when all listeners and processes
// are gone. If the context ends before, instances are killed.
func (f *FrontEnd) Close(ctx context.Context) error {
	f.mu.Lock()
	f.closed = true
	services := f.services
	f.services = map[string]*service{}
	f.mu.Unlock()
	var closing sync.WaitGroup
	for _, s := range services {
		closing.Go(func() { s.close(ctx) })
	}
	closing.Wait()
	f.transport.CloseIdleConnections()
	return nil
}
