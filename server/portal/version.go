package portal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"
)

// Version names the state that a resource is in, as the caller sees it: another one
// when anything that they see is another. It is empty for what they do not see.
func (p *Portal) Version(ctx context.Context, uri string) (string, error) {
	reader, err := readerFrom(ctx)
	if err != nil {
		return "", err
	}
	all, err := p.latest(ctx)
	if err != nil {
		return "", err
	}
	content, found := all.view(p.recognize(ctx, all, reader)).resource(uri)
	if !found {
		return "", nil
	}
	text, err := json.Marshal(content)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

const (
	// latestFor is how long [Portal.Version] goes by the same contents: a change is
	// told to many at once, and a subscription may be to many resources.
	latestFor = time.Second
	// latestTimeout bounds how long those who ask at the same time wait for them.
	latestTimeout = 5 * time.Second
)

// latest is the contents with every change that this process knows of, and not older
// than latestFor.
type latest struct {
	mu       sync.Mutex
	contents contents
	changes  int64 // how many were known
	at       time.Time
}

func (p *Portal) latest(ctx context.Context) (contents, error) {
	l := &p.last
	l.mu.Lock()
	defer l.mu.Unlock()
	changes, now := p.changes.Load(), time.Now()
	if l.changes == changes && now.Sub(l.at) < latestFor {
		return l.contents, nil
	}
	ctx, cancel := context.WithTimeout(ctx, latestTimeout)
	defer cancel()
	all, err := p.load(ctx)
	if err != nil {
		return contents{}, err
	}
	l.contents, l.changes, l.at = all, changes, now
	return all, nil
}
