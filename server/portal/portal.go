// Package portal is the sample: the goals and the deliverables that an agency
// and its client have agreed on, so that a coding assistant knows what it works
// towards. Put your own tools in its place.
//
// It must not know HTTP, nor how a caller came to be known.
package portal

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Client names have the shape of a Cloud Run service's name, whose limit is 49
// characters.
const maxClient = 49

var clientName = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)

//go:embed data/sample.yaml data/clients/*.yaml
var files embed.FS

// Goal is something that the client wants to reach.
type Goal struct {
	ID          string     `json:"id" yaml:"id" jsonschema:"such as G1"`
	Title       string     `json:"title" yaml:"title"`
	Description string     `json:"description" yaml:"description" jsonschema:"what will be true when the goal is reached"`
	Status      GoalStatus `json:"status" yaml:"status"`
	Target      string     `json:"target" yaml:"target" jsonschema:"when it is to be reached, YYYY-MM-DD"`
}

// Deliverable is a piece of work that serves a goal.
type Deliverable struct {
	ID         string            `json:"id" yaml:"id" jsonschema:"such as D1"`
	Goal       string            `json:"goal" yaml:"goal" jsonschema:"id of the goal it serves"`
	Title      string            `json:"title" yaml:"title"`
	Owner      string            `json:"owner" yaml:"owner" jsonschema:"who sees to it"`
	Status     DeliverableStatus `json:"status" yaml:"status"`
	Due        string            `json:"due" yaml:"due" jsonschema:"YYYY-MM-DD"`
	DependsOn  []string          `json:"depends_on,omitempty" yaml:"depends_on" jsonschema:"ids of deliverables that have to be done first"`
	Acceptance []string          `json:"acceptance,omitempty" yaml:"acceptance" jsonschema:"what has to hold for it to be done"`
}

// GoalStatus is one of [GoalStatuses].
type GoalStatus string

// GoalStatuses are the statuses of a goal, in the order of its life.
var GoalStatuses = []GoalStatus{"planned", "active", "reached", "dropped"}

// DeliverableStatus is one of [DeliverableStatuses].
type DeliverableStatus string

// DeliverableStatuses are the statuses of a deliverable, in the order of its
// life.
var DeliverableStatuses = []DeliverableStatus{"planned", "in_progress", "blocked", "in_review", "done"}

// Portal is what one client and its agency have agreed on. It never changes,
// so any number of goroutines may use it.
type Portal struct {
	client       string
	name         string
	goals        []Goal        // by target, then id
	deliverables []Deliverable // by due date, then id
}

// Open gives the portal of a client, which for a client without data of its
// own is a sample in its name. A name that no client can have is an error.
func Open(client string) (*Portal, error) {
	if !clientName.MatchString(client) || len(client) > maxClient {
		return nil, fmt.Errorf("%q is no client's name: use lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen, at most %d characters", client, maxClient)
	}
	raw, err := files.ReadFile("data/clients/" + client + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = files.ReadFile("data/sample.yaml")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the data of client %q: %w", client, err)
	}
	return parse(client, raw)
}

// Client is the name that [Open] was given.
func (p *Portal) Client() string { return p.client }

// Name is the client's name as people write it.
func (p *Portal) Name() string { return p.name }

func parse(client string, raw []byte) (*Portal, error) {
	var data struct {
		Name         string        `yaml:"name"`
		Goals        []Goal        `yaml:"goals"`
		Deliverables []Deliverable `yaml:"deliverables"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(raw)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&data); err != nil {
		return nil, fmt.Errorf("decoding the data of client %q: %w", client, err)
	}
	p := &Portal{client: client, name: cmp.Or(data.Name, displayName(client)), goals: data.Goals, deliverables: data.Deliverables}
	slices.SortFunc(p.goals, func(a, b Goal) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(p.deliverables, func(a, b Deliverable) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.ID, b.ID))
	})
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("the data of client %q: %w", client, err)
	}
	return p, nil
}

// displayName makes "north-wind" into "North Wind".
func displayName(client string) string {
	words := strings.Split(client, "-")
	for i, word := range words {
		if word != "" {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, " ")
}

// Goals are the client's goals that have the status, or all for the empty one;
// by target date, then id. Never nil.
func (p *Portal) Goals(status GoalStatus) []Goal {
	found := []Goal{}
	for _, g := range p.goals {
		if status == "" || g.Status == status {
			found = append(found, g)
		}
	}
	return found
}

// Deliverables are those that serve the goal and have the status, where an
// empty value takes any; by due date, then id. Never nil. A goal that does not
// exist is an error that names those that do.
func (p *Portal) Deliverables(goal string, status DeliverableStatus) ([]Deliverable, error) {
	if goal != "" && !p.hasGoal(goal) {
		return nil, fmt.Errorf("goal: there is no goal %q; the goals are %s", goal, strings.Join(p.goalIDs(), ", "))
	}
	found := []Deliverable{}
	for _, d := range p.deliverables {
		if (goal == "" || d.Goal == goal) && (status == "" || d.Status == status) {
			found = append(found, d)
		}
	}
	return found, nil
}

func (p *Portal) hasGoal(id string) bool {
	return slices.ContainsFunc(p.goals, func(g Goal) bool { return g.ID == id })
}

func (p *Portal) goalIDs() []string {
	ids := make([]string, len(p.goals))
	for i, g := range p.goals {
		ids[i] = g.ID
	}
	slices.Sort(ids)
	return ids
}
