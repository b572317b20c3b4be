package portal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/store"
)

// attempts is how often a change is tried that others get ahead of. Each time one
// of them got through, so that even many writers come to their end.
const attempts = 50

// change is one change to be made by a reader.
type change struct {
	Change
	reader Reader
}

// errUnchanged is the answer of a change that has nothing to do.
var errUnchanged = errors.New("it is so already")

func (p *Portal) newChange(r Reader, what string) (change, error) {
	if r.ID == "" {
		return change{}, errors.New("the caller has no issuer and subject that what they write could be kept as theirs by")
	}
	return change{
		Change: Change{ID: rand.Text(), At: p.Now().UTC().Truncate(0), By: r.Email, ByID: r.ID, What: what},
		reader: r,
	}, nil
}

// note is a note of who makes the change.
func (c change) note(text string) Note {
	return Note{Author: c.By, AuthorID: c.ByID, At: c.At, Text: text, Private: c.Private}
}

// done says if a history has the change already: its write went through, and the
// answer got lost.
func (c change) done(history []Change) bool {
	return slices.ContainsFunc(history, func(h Change) bool { return h.ID == c.ID })
}

// record puts the change into a history, whose oldest entries go when it is full.
func (c change) record(history []Change) []Change {
	history = append(slices.Clone(history), c.Change)
	return history[max(0, len(history)-maxHistory):]
}

// changeGoal applies a change to the goal as it is when it is written, however
// many others are writing. apply says why it cannot be made, and may say in c what was
// done.
func (p *Portal) changeGoal(ctx context.Context, c *change, id string, apply func(*Goal) error) (Goal, error) {
	var view View
	var err error
	if view, c.reader, err = p.viewOf(ctx, c.reader); err != nil {
		return Goal{}, err
	}
	if _, err := view.Goal(id); err != nil { // what one cannot see, one cannot change
		return Goal{}, err
	}
	return update(ctx, p, goalName(id), func(g *Goal) error {
		if c.done(g.History) {
			return errUnchanged
		}
		if !c.reader.sees(*g) {
			return fmt.Errorf("there is no goal %q", id)
		}
		if err := apply(g); err != nil {
			return err
		}
		g.History = c.record(g.History)
		return g.check()
	})
}

// changeDeliverable is changeGoal for a deliverable.
func (p *Portal) changeDeliverable(ctx context.Context, c *change, id string, apply func(*Deliverable) error) (Deliverable, error) {
	var view View
	var err error
	if view, c.reader, err = p.viewOf(ctx, c.reader); err != nil {
		return Deliverable{}, err
	}
	if _, err := view.Deliverable(id); err != nil {
		return Deliverable{}, err
	}
	return update(ctx, p, deliverableName(id), func(d *Deliverable) error {
		if c.done(d.History) {
			return errUnchanged
		}
		if err := apply(d); err != nil {
			return err
		}
		d.History = c.record(d.History)
		return d.check()
	})
}

// update reads a document, changes it and writes it back, until nobody was
// faster. It returns the document as it may be shown; what is written is as it was.
func update[T any, P item[T]](ctx context.Context, p *Portal, name string, apply func(*T) error) (T, error) {
	var item T
	for range attempts {
		data, version, err := p.Store.Read(ctx, name)
		if err != nil {
			return item, err
		}
		current, err := decodeItem[T](p.Client, data)
		if err != nil {
			return item, fmt.Errorf("%s cannot be used: %w", name, err)
		}
		if err := apply(current); errors.Is(err, errUnchanged) {
			escapeTexts[T, P](current)
			return *current, nil
		} else if err != nil {
			return item, err
		}
		if data, err = encode(p.Client, *current); err != nil {
			return item, err
		}
		_, err = p.Store.Write(ctx, name, data, version)
		if err == nil {
			p.changed(ctx, name)
			escapeTexts[T, P](current)
			return *current, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return item, err
		}
	}
	return item, fmt.Errorf("%s: too many others are changing it: try again", name)
}

// create writes a document that must not exist yet.
func create[T any](ctx context.Context, p *Portal, name string, item T) error {
	data, err := encode(p.Client, item)
	if err != nil {
		return err
	}
	if _, err := p.Store.Write(ctx, name, data, ""); err != nil {
		return err
	}
	p.changed(ctx, name)
	return nil
}

func (p *Portal) changed(ctx context.Context, name string) {
	p.changes.Add(1)
	if p.Changed == nil {
		return
	}
	p.Changed(ctx, uriOf(name))
	if folder, _, ok := strings.Cut(name, "/"); ok {
		p.Changed(ctx, scheme+folder)
	}
}

// SetGoalStatus is for managers. note says why; it may be empty.
func (p *Portal) SetGoalStatus(ctx context.Context, r Reader, id string, status GoalStatus, note string) (Goal, error) {
	if r.Role < guard.Manager {
		return Goal{}, errors.New("only a manager changes a goal's status")
	}
	if err := checkNote("note", note); err != nil {
		return Goal{}, err
	}
	c, err := p.newChange(r, "")
	if err != nil {
		return Goal{}, err
	}
	return p.changeGoal(ctx, &c, id, func(g *Goal) error {
		return setStatus(&c, &g.Status, status, &g.Log, note)
	})
}

// SetDeliverableStatus is for managers, and for whom the deliverable belongs to. note
// says why; it may be empty.
func (p *Portal) SetDeliverableStatus(ctx context.Context, r Reader, id string, status DeliverableStatus, note string) (Deliverable, error) {
	if err := checkNote("note", note); err != nil {
		return Deliverable{}, err
	}
	c, err := p.newChange(r, "")
	if err != nil {
		return Deliverable{}, err
	}
	return p.changeDeliverable(ctx, &c, id, func(d *Deliverable) error {
		if c.reader.Role < guard.Manager {
			if !c.reader.owns(*d) {
				return fmt.Errorf("deliverable %s is %s's: only they and managers change its status; add_note tells them something", id, ownerOrNobody(d.Owner))
			}
			if d.Status == "proposed" {
				return fmt.Errorf("deliverable %s is a proposal: a manager accepts it", id)
			}
		}
		return setStatus(&c, &d.Status, status, &d.Log, note)
	})
}

// setStatus keeps in the history what the status was.
func setStatus[S ~string](c *change, status *S, to S, log *Log, note string) error {
	switch {
	case *status != to:
		c.What = fmt.Sprintf("status: %s → %s", *status, to)
	case note == "":
		return errUnchanged
	default:
		c.What = "note"
	}
	*status = to
	if note != "" {
		log.Notes = append(log.Notes, c.note(note))
	}
	return nil
}

func ownerOrNobody(owner string) string {
	if owner == "" {
		return "nobody"
	}
	return owner
}

// AddNote puts a note on a goal or a deliverable that the reader sees.
func (p *Portal) AddNote(ctx context.Context, r Reader, id, text string, private bool) error {
	view, err := p.View(ctx, r)
	if err != nil {
		return err
	}
	if err := checkNote("text", text); err != nil {
		return err
	}
	c, err := p.newChange(r, "note")
	if err != nil {
		return err
	}
	c.Private = private
	note := c.note(text)
	if _, err := view.Goal(id); err == nil {
		_, err = p.changeGoal(ctx, &c, id, func(g *Goal) error { g.Notes = append(g.Notes, note); return nil })
		return err
	}
	if _, err := view.Deliverable(id); err != nil {
		return fmt.Errorf("there is no goal and no deliverable %.100q; list_goals and list_deliverables list them", id)
	}
	_, err = p.changeDeliverable(ctx, &c, id, func(d *Deliverable) error { d.Notes = append(d.Notes, note); return nil })
	return err
}

// Propose adds a deliverable as a proposal of the reader's, with an id of its
// own, for a manager to accept.
func (p *Portal) Propose(ctx context.Context, r Reader, d Deliverable) (Deliverable, error) {
	view, err := p.View(ctx, r)
	if err != nil {
		return Deliverable{}, err
	}
	if _, err := view.Goal(d.Goal); err != nil {
		return Deliverable{}, fmt.Errorf("goal: %w", err)
	}
	for i, id := range d.DependsOn {
		if _, err := view.Deliverable(id); err != nil {
			return Deliverable{}, fmt.Errorf("depends_on[%d]: %w", i, err)
		}
	}
	c, err := p.newChange(r, "proposed")
	if err != nil {
		return Deliverable{}, err
	}
	d.Status, d.Owner, d.OwnerID = "proposed", c.By, c.ByID
	d.History = []Change{c.Change}
	for range attempts {
		// Random, so that a number tells nobody how many there are that they do
		// not see, and two at once do not get the same.
		d.ID = "P-" + strings.ToLower(rand.Text()[:8])
		if err := errors.Join(d.check(), checkTexts(&d)); err != nil {
			return Deliverable{}, err
		}
		err := create(ctx, p, deliverableName(d.ID), d)
		if errors.Is(err, store.ErrConflict) && p.created(ctx, c, deliverableName(d.ID)) {
			return d, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return d, err
		}
	}
	return Deliverable{}, errors.New("no free id was found: try again")
}

// created says if a deliverable is there by the change itself: its write went
// through, the answer got lost, and the bucket's client tried again.
func (p *Portal) created(ctx context.Context, c change, name string) bool {
	data, _, err := p.Store.Read(ctx, name)
	if err != nil {
		return false
	}
	d, err := decodeItem[Deliverable](p.Client, data)
	return err == nil && c.done(d.History)
}
