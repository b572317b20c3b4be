package relay

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
)

// An identity tells two servers apart: what is signed for one of them must not be sent to
// the other, although both may be served under one name, one after the other.
type identity struct {
	name     string
	at       location
	audience string
}

// A location is the parts of a server's URL, which are compared without being put together.
type location struct{ scheme, host, path, rawPath string }

func (t Target) location() location {
	return location{t.base.Scheme, t.base.Host, t.base.Path, t.base.RawPath}
}

func (t Target) identity() identity { return identity{t.Name, t.location(), t.Audience} }

// Same reports whether both are the same server of the same client.
func (t Target) Same(other Target) bool { return t.identity() == other.identity() }

// A tenure is the time for which a target is served. Every request to the target depends on
// its context, which ends with a [*Fault] as its cause.
type tenure struct {
	ctx context.Context
	end context.CancelCauseFunc
}

// SetTargets replaces the targets that the Sender sends to, whose names must differ. A
// target that has been removed, or whose URL or audience has changed, gets no new request
// from then on, whoever asks for it: no retry, no renewed token and no end of a session. A
// request that has not left yet is given up, and a long-lived stream ends. A call that has
// been sent may still be answered. Nothing changes for the other targets.
func (s *Sender) SetTargets(targets []Target) {
	s.mu.Lock()
	before, after := s.tenures, map[identity]tenure{}
	locations := map[location]bool{}
	for _, t := range targets {
		locations[t.location()] = true
		if kept, served := before[t.identity()]; served {
			after[t.identity()] = kept
			continue
		}
		ctx, end := context.WithCancelCause(context.Background())
		after[t.identity()] = tenure{ctx, end}
	}
	s.targets, s.tenures = slices.Clone(targets), after
	maps.DeleteFunc(s.sessions, func(at location, _ *sessions) bool { return !locations[at] })
	s.mu.Unlock()
	for id, was := range before {
		if _, served := after[id]; !served {
			was.end(s.notServed(id.name))
		}
	}
}

// Target returns the target that is served under a client's name.
func (s *Sender) Target(name string) (t Target, served bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.targets {
		if t.Name == name {
			return t, true
		}
	}
	return Target{}, false
}

// WhileServed returns a context that also ends when the target is not served any more. The
// cause is then a [*Fault] for the person at the editor.
func (s *Sender) WhileServed(ctx context.Context, t Target) (context.Context, context.CancelFunc) {
	return whileServed(ctx, s.tenureOf(t))
}

func whileServed(ctx, tenure context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if tenure.Err() != nil {
		cancel(context.Cause(tenure))
	}
	stop := context.AfterFunc(tenure, func() { cancel(context.Cause(tenure)) })
	return ctx, func() { stop(); cancel(nil) }
}

// tenureOf returns the context of a target's tenure, which has ended if the target is not
// served.
func (s *Sender) tenureOf(t Target) context.Context {
	s.mu.Lock()
	current, served := s.tenures[t.identity()]
	s.mu.Unlock()
	if served {
		return current.ctx
	}
	over, end := context.WithCancelCause(context.Background())
	end(s.notServed(t.Name))
	return over
}

// notServed is the fault for a target that is not served, or not any more.
func (s *Sender) notServed(name string) *Fault {
	if now, served := s.Target(name); served {
		return moved(now)
	}
	return noClient(name, true, s.names())
}

// names tells a person which clients there are.
func (s *Sender) names() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.targets) == 0 {
		return "none"
	}
	names := make([]string, len(s.targets))
	for i, t := range s.targets {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}

// endedBy is the fault that ended a context, or nil.
func endedBy(ctx context.Context) *Fault {
	var f *Fault
	errors.As(context.Cause(ctx), &f)
	return f
}
