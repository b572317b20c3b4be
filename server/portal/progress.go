package portal

import (
	"cmp"
	"context"
	"time"
)

type goalProgress struct {
	ID       string                    `json:"id"`
	Title    string                    `json:"title"`
	Status   GoalStatus                `json:"status"`
	Target   string                    `json:"target"`
	ByStatus map[DeliverableStatus]int `json:"by_status" jsonschema:"deliverables of each status"`
	Agreed   int                       `json:"agreed" jsonschema:"deliverables that are more than proposed"`
	Done     int                       `json:"done"`
	Overdue  int                       `json:"overdue"`
	Blocked  int                       `json:"blocked"`
}

type progressOut struct {
	Today string         `json:"today" jsonschema:"the day that overdue is reckoned from, UTC"`
	Goals []goalProgress `json:"goals" jsonschema:"by target date"`
	// Unreadable is for who can mend it.
	Unreadable []string `json:"unreadable,omitempty" jsonschema:"data that cannot be used, and why; for managers"`
}

func (p *Portal) progress(ctx context.Context, r Reader, _ nothing) (progressOut, error) {
	view, err := p.View(ctx, r)
	if err != nil {
		return progressOut{}, err
	}
	out := progressOut{Today: p.today(), Goals: []goalProgress{}, Unreadable: view.Unreadable}
	for _, g := range view.Goals {
		sum := goalProgress{ID: g.ID, Title: g.Title, Status: g.Status, Target: g.Target, ByStatus: map[DeliverableStatus]int{}}
		for _, d := range view.serving(g.ID) {
			sum.ByStatus[d.Status]++
			if d.Status != "proposed" {
				sum.Agreed++
			}
			if d.Overdue(out.Today) {
				sum.Overdue++
			}
		}
		sum.Done, sum.Blocked = sum.ByStatus["done"], sum.ByStatus["blocked"]
		out.Goals = append(out.Goals, sum)
	}
	return out, nil
}

// days is from 1 to maxDays, or 0 for soon.
type days int

const (
	soon    = 14
	maxDays = 366
)

type dueIn struct {
	Days days `json:"days,omitempty" jsonschema:"how many days to look ahead, 1 to 366; 14 if left out"`
}

type pressing struct {
	ID       string            `json:"id"`
	Title    string            `json:"title"`
	Owner    string            `json:"owner,omitempty"`
	Status   DeliverableStatus `json:"status"`
	Due      string            `json:"due"`
	Why      []string          `json:"why" jsonschema:"overdue, due or blocked, and waiting as well"`
	WaitsFor []string          `json:"waits_for,omitempty" jsonschema:"ids of what has to be done first"`
}

type dueOut struct {
	Today        string     `json:"today" jsonschema:"UTC"`
	Deliverables []pressing `json:"deliverables" jsonschema:"by due date"`
}

func (p *Portal) dueOrBlocked(ctx context.Context, r Reader, in dueIn) (dueOut, error) {
	view, err := p.View(ctx, r)
	if err != nil {
		return dueOut{}, err
	}
	out := dueOut{Today: p.today(), Deliverables: []pressing{}}
	until := p.Now().UTC().AddDate(0, 0, cmp.Or(int(in.Days), soon)).Format(time.DateOnly)
	for _, d := range view.Deliverables {
		if !d.open() {
			continue
		}
		waits := view.waitsFor(d)
		var why []string
		switch {
		case d.Overdue(out.Today):
			why = append(why, "overdue")
		case d.Due <= until:
			why = append(why, "due")
		}
		if d.Status == "blocked" {
			why = append(why, "blocked")
		}
		if len(waits) > 0 && len(why) > 0 {
			why = append(why, "waiting")
		}
		if len(why) > 0 {
			out.Deliverables = append(out.Deliverables, pressing{d.ID, d.Title, d.Owner, d.Status, d.Due, why, waits})
		}
	}
	return out, nil
}
