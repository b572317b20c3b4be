package portal

import (
	"context"
	"strings"
	"time"

	"github.com/berth-mcp/berth/server/store"
)

// watchEvery is how often [Portal.Watch] looks for what other instances have
// changed. Listing a bucket costs USD 0.005 for a thousand times, so a watched
// portal costs about USD 2 a month (Cloud Storage's prices for class A operations,
// 2026).
const watchEvery = 10 * time.Second

// Watch calls Changed for what others have changed, until ctx ends. It looks only
// while watched says that somebody wants to know.
func (p *Portal) Watch(ctx context.Context, watched func() bool) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		p.look(ctx, watched)
	}
}

func (p *Portal) look(ctx context.Context, watched func() bool) {
	p.watching.Lock()
	defer p.watching.Unlock()
	if !watched() {
		p.known = nil // what changes meanwhile is nobody's news
		return
	}
	known, err := p.announce(ctx, p.known)
	if err != nil {
		p.Logger.WarnContext(ctx, "could not look for changes", "error", err.Error())
		return
	}
	p.known = known
}

func versions(entries []store.Entry) map[string]store.Version {
	known := make(map[string]store.Version, len(entries))
	for _, entry := range entries {
		known[entry.Name] = entry.Version
	}
	return known
}

// announce compares what there is with what was known, and tells the difference: of
// everything, if nothing was known, since who has subscribed meanwhile may have missed
// any of it. It gives what is known now.
func (p *Portal) announce(ctx context.Context, known map[string]store.Version) (map[string]store.Version, error) {
	entries, err := p.Store.List(ctx)
	if err != nil {
		return nil, err
	}
	current := versions(entries)
	p.changes.Add(1)
	folders := map[string]bool{}
	tell := func(name string) {
		p.Changed(ctx, uriOf(name))
		if folder, _, ok := strings.Cut(name, "/"); ok {
			folders[folder] = true
		}
	}
	for _, entry := range entries {
		if known[entry.Name] != entry.Version {
			tell(entry.Name)
		}
	}
	for name := range known {
		if _, still := current[name]; !still {
			tell(name)
		}
	}
	for folder := range folders {
		p.Changed(ctx, scheme+folder)
	}
	return current, nil
}
