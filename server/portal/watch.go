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
	var known map[string]store.Version
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !watched() {
			known = nil // what changes meanwhile is nobody's news
			continue
		}
		known = p.announce(ctx, known)
	}
}

// announce compares what there is with what was known, and tells the difference.
// It gives what is known now.
func (p *Portal) announce(ctx context.Context, known map[string]store.Version) map[string]store.Version {
	entries, err := p.Store.List(ctx)
	if err != nil {
		p.Logger.WarnContext(ctx, "could not look for changes", "error", err.Error())
		return known
	}
	current := make(map[string]store.Version, len(entries))
	folders := map[string]bool{}
	tell := func(name string) {
		p.Changed(ctx, uriOf(name))
		if folder, _, ok := strings.Cut(name, "/"); ok {
			folders[folder] = true
		}
	}
	for _, entry := range entries {
		current[entry.Name] = entry.Version
		if known != nil && known[entry.Name] != entry.Version {
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
	return current
}
