// Package portal is the sample: the goals and the deliverables that an agency
// and its client have agreed on, so that a coding assistant knows what it works
// towards. Put your own tools in its place.
//
// It must not know HTTP, nor how a caller came to be known.
package portal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/store"
)

// Options say whose portal to open, and where its data are.
type Options struct {
	// Client is the company's name in lower case, such as "acme". Required.
	Client string
	// Store has the data; the sample's, which nobody can change, if nil.
	Store store.Store
	// Revision names the running version of the server to callers. Optional.
	Revision string
	// Logger is told of data that cannot be read. Required.
	Logger *slog.Logger
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Portal is what one client and its agency have agreed on. Any number of
// goroutines, instances and processes may use the same store.
type Portal struct {
	Options
	// Changed, if set, is called after each change that this process has made,
	// with the URI of the resource that is another now.
	Changed func(ctx context.Context, uri string)

	mu    sync.Mutex
	cache map[string]document // by name: what was read last

	changes atomic.Int64 // that this process has made or found
	last    latest

	watching sync.Mutex
	known    map[string]store.Version // by name: what subscribers know of; nil while there are none

	warned sync.Map // by e-mail address: that the operator was told it cannot be claimed

	readiness sync.Mutex
	readyAt   time.Time // when notReady was found
	notReady  error
}

// New gives the portal of a client. It does not read any data yet.
func New(o Options) (*Portal, error) {
	if err := store.CheckClient(o.Client); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		return nil, errors.New("opening a portal: Logger is required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Store == nil {
		sample, err := newSample(o.Client)
		if err != nil {
			return nil, err
		}
		o.Store = sample
	}
	return &Portal{Options: o, cache: make(map[string]document)}, nil
}

// ReadOnly says if the portal shows the sample's data.
func (p *Portal) ReadOnly() bool {
	_, ok := p.Store.(*sample)
	return ok
}

// Ready says why the data cannot be reached, if they cannot.
func (p *Portal) Ready(ctx context.Context) error {
	p.readiness.Lock()
	defer p.readiness.Unlock()
	if time.Since(p.readyAt) < readyFor {
		return p.notReady
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	_, p.notReady = p.Store.List(ctx)
	p.readyAt = time.Now()
	return p.notReady
}

const (
	// readyFor is how long an answer of Ready serves: whoever asks need not be
	// anyone, and must not make the store work each time.
	readyFor     = time.Second
	readyTimeout = 5 * time.Second
)

// Reader is who asks, and decides what there is to see.
type Reader struct {
	// ID is the caller's key; see [identity.Caller.Key]. Who has none owns nothing,
	// and writes nothing.
	ID string
	// Email is in lower case. ClaimsByEmail is the caller's, of the same name.
	Email         string
	ClaimsByEmail bool
	Groups        []string
	Role          guard.Role

	address bool // what names only Email is the reader's; see [Portal.recognize]
}

// sees says if a goal is there for the reader.
func (r Reader) sees(g Goal) bool { return !g.Confidential || r.Role >= guard.Manager }

// View is what one reader may see at one moment. There is no other way to the
// data: what is confidential, and others' private notes, are not in it.
type View struct {
	Goals        []Goal        // by target date, then id
	Deliverables []Deliverable // by due date, then id
	// Unreadable says which of the data cannot be read, and why. For managers.
	Unreadable []string
}

// View reads what the reader may see.
func (p *Portal) View(ctx context.Context, reader Reader) (View, error) {
	view, _, err := p.viewOf(ctx, reader)
	return view, err
}

// viewOf is View, and the reader as the portal knows them by what it has.
func (p *Portal) viewOf(ctx context.Context, reader Reader) (View, Reader, error) {
	all, err := p.load(ctx)
	if err != nil {
		return View{}, reader, err
	}
	reader = p.recognize(ctx, all, reader)
	return all.view(reader), reader, nil
}

func (all contents) view(reader Reader) View {
	v := View{Goals: []Goal{}, Deliverables: []Deliverable{}}
	goals := map[string]bool{}
	for _, g := range all.goals {
		if !reader.sees(g) {
			continue
		}
		goals[g.ID] = true
		g.Notes, g.History = reader.notes(g.Notes), reader.history(g.History)
		v.Goals = append(v.Goals, g)
	}
	// What serves a goal that cannot be read just now may be confidential: only
	// who sees the goal, or would see any, sees the work.
	work := map[string]bool{}
	for _, d := range all.deliverables {
		work[d.ID] = goals[d.Goal]
	}
	everything := reader.Role >= guard.Manager
	for _, d := range all.deliverables {
		if !everything && !work[d.ID] {
			continue
		}
		d.DependsOn = slices.DeleteFunc(slices.Clone(d.DependsOn), func(id string) bool { return !everything && !work[id] })
		d.Notes, d.History = reader.notes(d.Notes), reader.history(d.History)
		if reader.Role < guard.Admin { // who exports it, to import it somewhere
			d.OwnerID = ""
		}
		v.Deliverables = append(v.Deliverables, d)
	}
	slices.SortFunc(v.Goals, func(a, b Goal) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(v.Deliverables, func(a, b Deliverable) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.ID, b.ID))
	})
	if everything {
		v.Unreadable = all.unreadable
	}
	return v
}

// maxNamed is how many ids an error names.
const maxNamed = 30

// Goal finds a goal. The error names those that there are.
func (v View) Goal(id string) (Goal, error) {
	i := slices.IndexFunc(v.Goals, func(g Goal) bool { return g.ID == id })
	if i < 0 {
		return Goal{}, fmt.Errorf("there is no goal %.100q; %s", id, v.whichGoals())
	}
	return v.Goals[i], nil
}

// Deliverable finds a deliverable.
func (v View) Deliverable(id string) (Deliverable, error) {
	i := slices.IndexFunc(v.Deliverables, func(d Deliverable) bool { return d.ID == id })
	if i < 0 {
		return Deliverable{}, fmt.Errorf("there is no deliverable %.100q; list_deliverables lists them", id)
	}
	return v.Deliverables[i], nil
}

// serving are the deliverables that serve a goal.
func (v View) serving(goal string) []Deliverable {
	return slices.DeleteFunc(slices.Clone(v.Deliverables), func(d Deliverable) bool { return d.Goal != goal })
}

// whichGoals names those that there are, if they are not many.
func (v View) whichGoals() string {
	ids := v.goalIDs()
	switch {
	case len(ids) == 0:
		return "there is none yet"
	case len(ids) > maxNamed:
		return "list_goals lists them"
	}
	return "the goals are " + strings.Join(ids, ", ")
}

func (v View) goalIDs() []string {
	ids := make([]string, len(v.Goals))
	for i, g := range v.Goals {
		ids[i] = g.ID
	}
	slices.Sort(ids)
	return ids
}

// Title is the client's name as people write it: "north-wind" is "North Wind".
func (p *Portal) Title() string {
	words := strings.Split(p.Client, "-")
	for i, word := range words {
		if word != "" {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, " ")
}
