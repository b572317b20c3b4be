package portal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/server/guard"
)

func (p *Portal) registerReading(g *guard.Guard) {
	addTool(g, guard.Viewer, &mcp.Tool{
		Name: "whoami", Title: "Who am I", Annotations: reading(),
		Description: "Tells as whom the server knows you, what you may do, and which client's portal this is.",
	}, p.whoami)
	addTool(g, guard.Viewer, &mcp.Tool{
		Name: "list_goals", Title: "List goals", Annotations: reading(),
		Description: "Lists the goals agreed with the client, by target date. get_goal tells more about one.",
	}, p.listGoals)
	addTool(g, guard.Viewer, &mcp.Tool{
		Name: "get_goal", Title: "Get a goal", Annotations: reading(),
		Description: "Gives one goal with its notes, links and history, and the deliverables that serve it.",
	}, p.getGoal)
	addTool(g, guard.Viewer, &mcp.Tool{
		Name: "list_deliverables", Title: "List deliverables", Annotations: reading(),
		Description: "Lists the deliverables agreed with the client, by due date, with owner, status, dependencies and acceptance criteria.",
	}, p.listDeliverables)
	addTool(g, guard.Viewer, &mcp.Tool{
		Name: "get_deliverable", Title: "Get a deliverable", Annotations: reading(),
		Description: "Gives one deliverable with its notes, links and history, and what it waits for.",
	}, p.getDeliverable)
	addTool(g, guard.Viewer, &mcp.Tool{
		Name: "search", Title: "Search", Annotations: reading(),
		Description: "Finds goals and deliverables that have all the words, in titles, descriptions, acceptance criteria and notes.",
	}, p.search)
	addTool(g, guard.Viewer, &mcp.Tool{
		Name: "progress_summary", Title: "Progress", Annotations: reading(),
		Description: "Sums up how far each goal is: deliverables by status, how many are done, overdue or blocked.",
	}, p.progress)
	addTool(g, guard.Viewer, &mcp.Tool{
		Name: "due_or_blocked", Title: "What is due or blocked", Annotations: reading(),
		Description: "Lists open deliverables that are overdue, due within some days, or blocked, with what they wait for.",
	}, p.dueOrBlocked)
}

type listGoalsIn struct {
	Status GoalStatus `json:"status,omitempty" jsonschema:"only goals that have this status"`
	Search string     `json:"search,omitempty" jsonschema:"only goals that have all these words"`
	Page
}

type listGoalsOut struct {
	Goals      []Goal `json:"goals"`
	Total      int    `json:"total" jsonschema:"how many there are on all pages"`
	NextCursor string `json:"next_cursor,omitempty" jsonschema:"cursor of the next page; not there on the last"`
}

func (p *Portal) listGoals(ctx context.Context, r Reader, in listGoalsIn) (out listGoalsOut, err error) {
	view, err := p.View(ctx, r)
	if err != nil {
		return out, err
	}
	found := slices.DeleteFunc(view.Goals, func(g Goal) bool {
		return in.Status != "" && g.Status != in.Status || !g.matches(in.Search)
	})
	out.Total = len(found)
	out.Goals, out.NextCursor, err = cut(brief(found), in.Page, goalKey)
	return out, err
}

type getIn struct {
	ID string `json:"id" jsonschema:"such as G1 or D1"`
}

type getGoalOut struct {
	Goal         Goal     `json:"goal"`
	Deliverables []string `json:"deliverables" jsonschema:"ids of the deliverables that serve it"`
}

func (p *Portal) getGoal(ctx context.Context, r Reader, in getIn) (out getGoalOut, err error) {
	view, err := p.View(ctx, r)
	if err != nil {
		return out, err
	}
	if out.Goal, err = view.Goal(in.ID); err != nil {
		return out, fmt.Errorf("id: %w", err)
	}
	out.Deliverables = []string{}
	for _, d := range view.serving(in.ID) {
		out.Deliverables = append(out.Deliverables, d.ID)
	}
	return out, nil
}

type listDeliverablesIn struct {
	Goal      string            `json:"goal,omitempty" jsonschema:"only deliverables that serve the goal with this id"`
	Status    DeliverableStatus `json:"status,omitempty" jsonschema:"only deliverables that have this status"`
	Owner     string            `json:"owner,omitempty" jsonschema:"only deliverables of this e-mail address or team"`
	DueBefore string            `json:"due_before,omitempty" jsonschema:"only deliverables due before this day, YYYY-MM-DD"`
	Search    string            `json:"search,omitempty" jsonschema:"only deliverables that have all these words"`
	Page
}

type listDeliverablesOut struct {
	Deliverables []Deliverable `json:"deliverables"`
	Total        int           `json:"total" jsonschema:"how many there are on all pages"`
	NextCursor   string        `json:"next_cursor,omitempty" jsonschema:"cursor of the next page; not there on the last"`
}

func (p *Portal) listDeliverables(ctx context.Context, r Reader, in listDeliverablesIn) (out listDeliverablesOut, err error) {
	view, err := p.View(ctx, r)
	if err != nil {
		return out, err
	}
	if in.Goal != "" {
		if _, err := view.Goal(in.Goal); err != nil {
			return out, fmt.Errorf("goal: %w", err)
		}
	}
	if in.DueBefore != "" {
		if _, err := time.Parse(time.DateOnly, in.DueBefore); err != nil {
			return out, fmt.Errorf("due_before: %.100q: write a date as YYYY-MM-DD", in.DueBefore)
		}
	}
	found := slices.DeleteFunc(view.Deliverables, func(d Deliverable) bool {
		return in.Goal != "" && d.Goal != in.Goal ||
			in.Status != "" && d.Status != in.Status ||
			in.Owner != "" && !strings.EqualFold(d.Owner, in.Owner) ||
			in.DueBefore != "" && d.Due >= in.DueBefore ||
			!d.matches(in.Search)
	})
	out.Total = len(found)
	out.Deliverables, out.NextCursor, err = cut(brief(found), in.Page, deliverableKey)
	return out, err
}

type getDeliverableOut struct {
	Deliverable Deliverable `json:"deliverable"`
	WaitsFor    []string    `json:"waits_for" jsonschema:"ids of the deliverables that have to be done first and are not"`
	Overdue     bool        `json:"overdue"`
}

func (p *Portal) getDeliverable(ctx context.Context, r Reader, in getIn) (out getDeliverableOut, err error) {
	view, err := p.View(ctx, r)
	if err != nil {
		return out, err
	}
	d, err := view.Deliverable(in.ID)
	if err != nil {
		return out, fmt.Errorf("id: %w", err)
	}
	return getDeliverableOut{Deliverable: d, WaitsFor: append([]string{}, view.waitsFor(d)...), Overdue: d.Overdue(p.today())}, nil
}

type searchIn struct {
	Words string `json:"words" jsonschema:"all of them have to be there, in any case and order"`
	Page
}

type hit struct {
	ID    string `json:"id"`
	Kind  string `json:"kind" jsonschema:"goal or deliverable"`
	Title string `json:"title"`
	URI   string `json:"uri" jsonschema:"of the resource"`
}

type searchOut struct {
	Found      []hit  `json:"found"`
	Total      int    `json:"total" jsonschema:"how many there are on all pages"`
	NextCursor string `json:"next_cursor,omitempty" jsonschema:"cursor of the next page; not there on the last"`
}

func (p *Portal) search(ctx context.Context, r Reader, in searchIn) (out searchOut, err error) {
	if strings.TrimSpace(in.Words) == "" {
		return out, fmt.Errorf("words: %q: name at least one word to look for", in.Words)
	}
	view, err := p.View(ctx, r)
	if err != nil {
		return out, err
	}
	found := []hit{}
	for _, d := range view.Deliverables {
		if d.matches(in.Words) {
			found = append(found, hit{d.ID, "deliverable", d.Title, uriOf(deliverableName(d.ID))})
		}
	}
	for _, g := range view.Goals {
		if g.matches(in.Words) {
			found = append(found, hit{g.ID, "goal", g.Title, uriOf(goalName(g.ID))})
		}
	}
	slices.SortFunc(found, func(a, b hit) int { return strings.Compare(a.URI, b.URI) })
	out.Total = len(found)
	out.Found, out.NextCursor, err = cut(found, in.Page, func(h hit) string { return h.URI })
	return out, err
}
