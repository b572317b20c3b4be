package relay

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// A backend is a target and what is known of it while the proxy runs.
type backend struct {
	Target
	stats    *stats
	sessions *sessions

	// ownLogin is set once the server itself, and not the platform, has asked for a login:
	// clients then look for what it says of that.
	ownLogin atomic.Bool
}

// clients are all upstreams at one time, in the order in which they were configured.
type clients []*backend

func (c clients) named(name string) *backend {
	for _, u := range c {
		if u.Name == name {
			return u
		}
	}
	return nil
}

// whereToGo tells a person where an editor may connect to.
func (c clients) whereToGo() string {
	if len(c) == 0 {
		return "nothing is here, as no client is configured: add one with its URL"
	}
	var paths []string
	for _, u := range c {
		paths = append(paths, "/"+u.Name+"/mcp")
	}
	return fmt.Sprintf("nothing is here; the paths are %s", strings.Join(paths, ", "))
}

// SetTargets replaces the targets, whose names must differ, with effect on requests from
// now on. What is under way for one that has been removed or replaced ends as
// [Sender.SetTargets] says; the streams of the others go on. A client keeps its figures, and
// with the same URL also its sessions and whether its server has a login of its own.
func (s *Relay) SetTargets(targets []Target) {
	s.reload.Lock()
	defer s.reload.Unlock()
	s.sender.SetTargets(targets)
	before := *s.clients.Load()
	after := s.clientsOf(targets, before)
	for _, u := range before {
		if after.named(u.Name) == nil {
			s.gone.Store(u.Name, true)
		}
	}
	for _, u := range after {
		s.gone.Delete(u.Name)
	}
	if len(after) == 1 {
		s.alone.CompareAndSwap(nil, after[0].Name)
	}
	s.clients.Store(&after)
}

// clientsOf continues those that were there before.
func (s *Relay) clientsOf(targets []Target, before clients) clients {
	after := make(clients, len(targets))
	for i, t := range targets {
		after[i] = &backend{Target: t, stats: &stats{}, sessions: s.sender.sessionsOf(t)}
		if old := before.named(t.Name); old != nil {
			after[i].stats = old.stats
			// Or an editor in the middle of that login would not find its way on.
			after[i].ownLogin.Store(old.ownLogin.Load() && old.URL() == t.URL())
		}
	}
	return after
}
