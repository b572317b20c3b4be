package portal

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// check finds everything that is wrong with a client's data, so that tools need
// not wonder.
func (p *Portal) check() error {
	var problems []error
	report := func(kind, id, field, value, remedy string) {
		problems = append(problems, fmt.Errorf("%s %q: %s: %q: %s", kind, id, field, value, remedy))
	}
	date := func(kind, id, field, value string) {
		if _, err := time.Parse(time.DateOnly, value); err != nil {
			report(kind, id, field, value, "write a date as YYYY-MM-DD")
		}
	}

	seen := map[string]bool{}
	unique := func(kind, id string) {
		if id == "" || seen[id] {
			report(kind, id, "id", id, "give each goal and deliverable an id of its own")
		}
		seen[id] = true
	}
	for _, g := range p.goals {
		unique("goal", g.ID)
		date("goal", g.ID, "target", g.Target)
		if !slices.Contains(GoalStatuses, g.Status) {
			report("goal", g.ID, "status", string(g.Status), fmt.Sprintf("use one of %v", GoalStatuses))
		}
	}
	for _, d := range p.deliverables {
		unique("deliverable", d.ID)
		date("deliverable", d.ID, "due", d.Due)
		if !slices.Contains(DeliverableStatuses, d.Status) {
			report("deliverable", d.ID, "status", string(d.Status), fmt.Sprintf("use one of %v", DeliverableStatuses))
		}
		if !p.hasGoal(d.Goal) {
			report("deliverable", d.ID, "goal", d.Goal, fmt.Sprintf("use one of %v", p.goalIDs()))
		}
		for _, id := range d.DependsOn {
			if !slices.ContainsFunc(p.deliverables, func(o Deliverable) bool { return o.ID == id && id != d.ID }) {
				report("deliverable", d.ID, "depends_on", id, "use the id of another deliverable")
			}
		}
	}
	return errors.Join(problems...)
}
