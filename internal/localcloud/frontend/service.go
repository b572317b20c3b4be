package frontend

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/berth-mcp/berth/internal/localcloud/instance"
)

const (
	// maxHeaderBytes is about Cloud Run's bound for a request's headers.
	maxHeaderBytes = 64 << 10
	// headerTimeout bounds how long a client may take to send them.
	headerTimeout = 10 * time.Second
	// connectionIdle is how long a client's connection is kept between
	// requests, as Google's front ends do.
	connectionIdle = 10 * time.Minute
	// drainTimeout bounds how long a removed service's clients may take to
	// read what its instances, now gone, have answered.
	drainTimeout = time.Second
)

// A service is one address, and the revision behind it.
type service struct {
	name     string // projects/P/locations/L/services/S
	url      string
	frontEnd *FrontEnd
	logger   *slog.Logger
	server   *http.Server
	served   chan struct{} // closed when the listener is

	life   context.Context // ends with the service
	cancel context.CancelFunc

	deploying sync.Mutex // one deployment at a time

	mu       sync.Mutex
	settings settings
	current  *revision   // nil until one was ready
	former   []*revision // may still finish requests
}

func newService(f *FrontEnd, name string, listener net.Listener) *service {
	logger := f.logger.With("service", path.Base(name))
	s := &service{
		name:     name,
		url:      "http://" + listener.Addr().String(),
		frontEnd: f,
		logger:   logger,
		served:   make(chan struct{}),
	}
	s.life, s.cancel = context.WithCancel(context.Background())
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.server = &http.Server{
		Handler:           s,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       connectionIdle,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.served)
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the service's address is lost", "error", err)
		}
	}()
	return s
}

func (s *service) deploy(ctx context.Context, wanted spec, name string) error {
	s.deploying.Lock()
	defer s.deploying.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.life, func() { cancel(errors.New("the service was removed")) })()

	s.mu.Lock()
	s.settings = wanted.settings
	serving := s.current
	s.mu.Unlock()
	if serving != nil && serving.name == name {
		serving.configure(wanted.settings.min, wanted.settings.max)
		return nil
	}
	images, err := pull(ctx, s.frontEnd.options.Images, wanted.template)
	if err != nil {
		return err
	}
	if serving != nil && len(serving.template.containers) > 1 {
		// Its sidecars listen where those of the next one want to.
		defer serving.pause()()
	}
	next := s.newRevision(name, wanted, images)
	if err := next.check(ctx); err != nil {
		next.close(ctx)
		return err
	}
	return s.replace(ctx, next)
}

// replace sends requests to the next revision, and lets the one before drain.
func (s *service) replace(ctx context.Context, next *revision) error {
	s.mu.Lock()
	removed := s.life.Err() != nil
	last := s.current
	if !removed {
		s.former = slices.DeleteFunc(s.former, (*revision).gone)
		if last != nil {
			s.former = append(s.former, last)
		}
		s.current = next
	}
	s.mu.Unlock()
	if removed {
		next.close(ctx)
		return context.Cause(ctx)
	}
	if last != nil {
		last.retire()
	}
	return nil
}

func (s *service) newRevision(name string, wanted spec, images []*instance.Image) *revision {
	output := s.logger.With("revision", name)
	launcher := &launcher{
		options: s.frontEnd.options, service: s.name, revision: name, template: wanted.template, images: images,
		output: func(container, stream, line string) {
			output.Debug("instance output", "container", container, "stream", stream, "line", line)
		},
	}
	r := &revision{
		name:         name,
		template:     wanted.template,
		start:        launcher.start,
		logger:       s.logger,
		idleTimeout:  s.frontEnd.options.IdleTimeout,
		queueTimeout: s.frontEnd.options.QueueTimeout,
		min:          wanted.settings.min,
		max:          wanted.settings.max,
	}
	r.starts, r.cancelStarts = context.WithCancel(context.Background())
	r.stops, r.kill = context.WithCancel(context.Background())
	return r
}

// now returns the settings and the revision that serves, if any.
func (s *service) now() (settings, *revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings, s.current
}

func (s *service) revisions() []*revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.former)
	if s.current != nil {
		all = append(all, s.current)
	}
	return all
}

func (s *service) instances() []Instance {
	var list []Instance
	for _, r := range s.revisions() {
		list = append(list, r.instances()...)
	}
	return list
}

// close ends the service: no new connections, SIGTERM to the instances while
// requests may still end, and then whatever is left of them.
func (s *service) close(ctx context.Context) {
	s.cancel()
	s.deploying.Lock() // a deployment at work has been told to give up
	defer s.deploying.Unlock()

	drain, giveUp := context.WithCancel(ctx)
	defer giveUp()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_ = s.server.Shutdown(drain) // what it cannot end, Close does
	}()
	var closing sync.WaitGroup
	for _, r := range s.revisions() {
		closing.Go(func() { r.close(ctx) })
	}
	closing.Wait()
	// What instances wrote last is still on its way to the clients.
	defer time.AfterFunc(drainTimeout, giveUp).Stop()
	<-drained
	_ = s.server.Close()
	<-s.served
}
