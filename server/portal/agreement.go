package portal

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// agreement is goals and deliverables in one document: what the sample is
// written in, and what is imported and exported.
type agreement struct {
	Goals        []Goal        `yaml:"goals"`
	Deliverables []Deliverable `yaml:"deliverables"`
}

// check gives everything that is wrong with items, by themselves and together
// with what there is already.
func (a agreement) check(existing contents) error {
	var wrong []error
	goals, deliverables := map[string]bool{}, map[string]bool{}
	depends := map[string][]string{}
	for _, g := range existing.goals {
		goals[g.ID] = true
	}
	for _, d := range existing.deliverables {
		deliverables[d.ID] = true
		depends[d.ID] = d.DependsOn
	}
	seen := map[string]bool{}
	once := func(kind, id string) {
		if seen[kind+id] {
			wrong = append(wrong, fmt.Errorf("%s %q: id: it is there twice", kind, id))
		}
		seen[kind+id] = true
	}
	of := func(kind, id string, err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s %q: %s", kind, id, oneLine(err)))
		}
	}
	for _, g := range a.Goals {
		once("goal", g.ID)
		of("goal", g.ID, g.check())
		goals[g.ID] = true
	}
	for _, d := range a.Deliverables {
		once("deliverable", d.ID)
		of("deliverable", d.ID, d.check())
		deliverables[d.ID] = true
		depends[d.ID] = d.DependsOn
	}
	for _, id := range slices.Sorted(maps.Keys(goals)) {
		if deliverables[id] && (seen["goal"+id] || seen["deliverable"+id]) {
			wrong = append(wrong, fmt.Errorf("%q: id: a goal and a deliverable have it: give one of them another", id))
		}
	}
	for _, d := range a.Deliverables {
		if !goals[d.Goal] {
			wrong = append(wrong, fmt.Errorf("deliverable %q: goal: %q: there is no such goal", d.ID, d.Goal))
		}
		for i, id := range d.DependsOn {
			if !deliverables[id] {
				wrong = append(wrong, fmt.Errorf("deliverable %q: depends_on[%d]: %q: there is no such deliverable", d.ID, i, id))
			}
		}
	}
	for _, cycle := range cycles(depends, a.Deliverables) {
		wrong = append(wrong, fmt.Errorf("deliverable %q: depends_on: it would wait for itself: %s: take one of these out", cycle[0], shownCycle(cycle)))
	}
	return errors.Join(wrong...)
}

// checkTexts is that of each item.
func (a agreement) checkTexts() error {
	var wrong []error
	of := func(kind, id string, err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s %q: %s", kind, id, oneLine(err)))
		}
	}
	for i := range a.Goals {
		of("goal", a.Goals[i].ID, checkTexts(&a.Goals[i]))
	}
	for i := range a.Deliverables {
		of("deliverable", a.Deliverables[i].ID, checkTexts(&a.Deliverables[i]))
	}
	return errors.Join(wrong...)
}

// oneLine has all that is wrong with one item in a line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// maxCycles is how many cycles are told of at once, and maxCycle how many ids of one:
// one import could tie thousands.
const (
	maxCycles = 10
	maxCycle  = 20
)

// cycles gives the dependencies that lead from the deliverables given into a circle,
// of each knot at least one unless there are too many: ids in the order in which each
// waits for the next.
func cycles(depends map[string][]string, of []Deliverable) (found [][]string) {
	var path []string
	at := map[string]int{} // where in the path an id is, from 1; -1 when all that it leads to is known
	var follow func(id string)
	follow = func(id string) {
		switch start := at[id]; {
		case start == len(path) && start > 0: // it names itself, which its own check refuses
		case start > 0 && len(found) < maxCycles:
			found = append(found, slices.Clone(path[start-1:]))
		case start == 0:
			path = append(path, id)
			at[id] = len(path)
			for _, next := range depends[id] {
				follow(next)
			}
			path = path[:len(path)-1]
			at[id] = -1
		}
	}
	for _, d := range of {
		follow(d.ID)
	}
	return found
}

// shownCycle is a cycle as people read it.
func shownCycle(ids []string) string {
	shown := slices.Clone(ids)
	if len(shown) > maxCycle {
		shown = append(shown[:maxCycle], fmt.Sprintf("… (%d more)", len(ids)-maxCycle))
	}
	return strings.Join(append(shown, ids[0]), " → ")
}
