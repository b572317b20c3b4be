package portal

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// GoalStatus is one of [GoalStatuses].
type GoalStatus string

// GoalStatuses are the statuses of a goal, in the order of its life.
var GoalStatuses = []GoalStatus{"planned", "active", "reached", "dropped"}

// DeliverableStatus is one of [DeliverableStatuses].
type DeliverableStatus string

// DeliverableStatuses are the statuses of a deliverable, in the order of its
// life.
var DeliverableStatuses = []DeliverableStatus{"proposed", "planned", "in_progress", "blocked", "in_review", "done"}

// Goal is something that the client wants to reach.
type Goal struct {
	ID           string     `json:"id" yaml:"id" jsonschema:"such as G1"`
	Title        string     `json:"title" yaml:"title"`
	Description  string     `json:"description,omitempty" yaml:"description,omitempty" jsonschema:"what will be true when the goal is reached"`
	Status       GoalStatus `json:"status" yaml:"status"`
	Target       string     `json:"target" yaml:"target" jsonschema:"when it is to be reached, YYYY-MM-DD"`
	Confidential bool       `json:"confidential,omitempty" yaml:"confidential,omitempty" jsonschema:"only managers see it and what serves it"`
	Links        []Link     `json:"links,omitempty" yaml:"links,omitempty"`
	Log          `yaml:",inline"`
}

// Deliverable is a piece of work that serves a goal.
type Deliverable struct {
	ID         string            `json:"id" yaml:"id" jsonschema:"such as D1"`
	Goal       string            `json:"goal" yaml:"goal" jsonschema:"id of the goal it serves"`
	Title      string            `json:"title" yaml:"title"`
	Owner      string            `json:"owner,omitempty" yaml:"owner,omitempty" jsonschema:"who sees to it: an e-mail address or a team"`
	OwnerID    string            `json:"-" yaml:"owner_id,omitempty"` // an [identity.Caller.Key]; empty for whoever has the address first, or a team
	Status     DeliverableStatus `json:"status" yaml:"status"`
	Due        string            `json:"due" yaml:"due" jsonschema:"YYYY-MM-DD"`
	DependsOn  []string          `json:"depends_on,omitempty" yaml:"depends_on,omitempty" jsonschema:"ids of deliverables that have to be done first"`
	Acceptance []string          `json:"acceptance,omitempty" yaml:"acceptance,omitempty" jsonschema:"what has to hold for it to be done"`
	Links      []Link            `json:"links,omitempty" yaml:"links,omitempty"`
	Log        `yaml:",inline"`
}

// Log is what has happened to an item. It only grows: import leaves it as it is.
type Log struct {
	Notes   []Note   `json:"notes,omitempty" yaml:"notes,omitempty"`
	History []Change `json:"history,omitempty" yaml:"history,omitempty"`
}

// log is for those to whom it does not matter whose log it is.
func (l *Log) log() *Log { return l }

// brief takes the logs out of items, which are the caller's own.
func brief[T any, P item[T]](items []T) []T {
	for i := range items {
		*P(&items[i]).log() = Log{}
	}
	return items
}

// Link leads to more about an item.
type Link struct {
	Title string `json:"title" yaml:"title"`
	URL   string `json:"url" yaml:"url" jsonschema:"https"`
}

// Note is a remark on an item.
type Note struct {
	Author   string    `json:"author" yaml:"author" jsonschema:"e-mail address"`
	AuthorID string    `json:"-" yaml:"author_id,omitempty"` // an [identity.Caller.Key]; empty in old ones
	At       time.Time `json:"at" yaml:"at"`
	Text     string    `json:"text" yaml:"text"`
	Private  bool      `json:"private,omitempty" yaml:"private,omitempty" jsonschema:"only its author sees it"`
}

// Change is one thing that was done to an item.
type Change struct {
	// ID tells whether a write whose answer got lost has been carried out.
	ID   string    `json:"id" yaml:"id"`
	At   time.Time `json:"at" yaml:"at"`
	By   string    `json:"by" yaml:"by" jsonschema:"e-mail address"`
	ByID string    `json:"-" yaml:"by_id,omitempty"` // an [identity.Caller.Key]; empty in old ones
	What string    `json:"what" yaml:"what"`
	// Private is a change that only who made it sees.
	Private bool `json:"private,omitempty" yaml:"private,omitempty"`
}

// Bounds of what an item may hold, in characters and entries: a portal is read
// by a model, whose attention is not for free.
const (
	maxTitle    = 200
	maxText     = 4000
	maxEntries  = 100
	maxNotes    = 500
	maxHistory  = 2000
	maxOwner    = 254
	maxLinkSize = 2000
)

var itemID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// problems collects what is wrong with an item, by field.
type problems []error

func (p *problems) add(ok bool, field string, value any, remedy string) {
	if !ok {
		*p = append(*p, fmt.Errorf("%s: %.100q: %s", field, fmt.Sprint(value), remedy))
	}
}

func (p *problems) text(field, value string, most int, required bool) {
	p.add(utf8.ValidString(value), field, value, "write it in UTF-8")
	p.add(utf8.RuneCountInString(value) <= most, field, value, fmt.Sprintf("use at most %d characters", most))
	p.add(!required || strings.TrimSpace(value) != "", field, value, "it is required")
}

func (p *problems) date(field, value string) {
	_, err := time.Parse(time.DateOnly, value)
	p.add(err == nil, field, value, "write a date as YYYY-MM-DD")
}

func (p *problems) entries(field string, n int) {
	p.add(n <= maxEntries, field, n, fmt.Sprintf("keep at most %d", maxEntries))
}

func (p *problems) links(links []Link) {
	p.entries("links", len(links))
	for i, link := range links {
		field := fmt.Sprintf("links[%d]", i)
		p.text(field+".title", link.Title, maxTitle, true)
		u, err := url.Parse(link.URL)
		p.add(err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && len(link.URL) <= maxLinkSize,
			field+".url", link.URL, "write an https URL without a password")
	}
}

func (p *problems) notes(notes []Note) {
	p.add(len(notes) <= maxNotes, "notes", len(notes), fmt.Sprintf("it has %d, which is the most: write on another item that you link to", maxNotes))
	for i, note := range notes {
		p.text(fmt.Sprintf("notes[%d].text", i), note.Text, maxText, true)
		p.text(fmt.Sprintf("notes[%d].author", i), note.Author, maxOwner, true)
	}
}

// check gives everything that is wrong with the goal by itself.
func (g Goal) check() error {
	var p problems
	p.add(itemID.MatchString(g.ID), "id", g.ID, "use 1 to 64 letters, digits, - and _")
	p.text("title", g.Title, maxTitle, true)
	p.text("description", g.Description, maxText, false)
	p.add(slices.Contains(GoalStatuses, g.Status), "status", g.Status, fmt.Sprintf("use one of %v", GoalStatuses))
	p.date("target", g.Target)
	p.links(g.Links)
	p.notes(g.Notes)
	return errors.Join(p...)
}

// check gives everything that is wrong with the deliverable by itself.
func (d Deliverable) check() error {
	var p problems
	p.add(itemID.MatchString(d.ID), "id", d.ID, "use 1 to 64 letters, digits, - and _")
	p.add(itemID.MatchString(d.Goal), "goal", d.Goal, "name the goal that it serves")
	p.text("title", d.Title, maxTitle, true)
	p.text("owner", d.Owner, maxOwner, false)
	if err := checkOwnerID(d.OwnerID, d.Owner); err != nil {
		p = append(p, err)
	}
	p.add(slices.Contains(DeliverableStatuses, d.Status), "status", d.Status, fmt.Sprintf("use one of %v", DeliverableStatuses))
	p.date("due", d.Due)
	p.entries("depends_on", len(d.DependsOn))
	for i, id := range d.DependsOn {
		p.add(itemID.MatchString(id) && id != d.ID, fmt.Sprintf("depends_on[%d]", i), id, "use the id of another deliverable")
	}
	p.entries("acceptance", len(d.Acceptance))
	for i, criterion := range d.Acceptance {
		p.text(fmt.Sprintf("acceptance[%d]", i), criterion, maxText, true)
	}
	p.links(d.Links)
	p.notes(d.Notes)
	return errors.Join(p...)
}
