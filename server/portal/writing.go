package portal

import (
	"context"
	"fmt"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/server/guard"
)

func (p *Portal) registerWriting(g *guard.Guard) {
	addTool(g, guard.Contributor, &mcp.Tool{
		Name: "update_status", Title: "Update a status", Annotations: writing(),
		Description: "Sets the status of a deliverable that is yours or your team's, or as a manager of any goal or deliverable. What it was stays in its history.",
	}, p.updateStatus)
	addTool(g, guard.Contributor, &mcp.Tool{
		Name: "add_note", Title: "Add a note", Annotations: writing(),
		Description: "Adds a note to a goal or a deliverable: a decision, a finding, a question. Everyone who sees the item reads it, unless it is private.",
	}, p.addNote)
	addTool(g, guard.Contributor, &mcp.Tool{
		Name: "propose_deliverable", Title: "Propose a deliverable", Annotations: writing(),
		Description: "Proposes a deliverable for a goal, in your name. A manager accepts it by giving it another status.",
	}, p.propose)
}

// anyStatus is one of a goal's statuses or of a deliverable's.
type anyStatus string

func anyStatuses() (all []anyStatus) {
	for _, s := range GoalStatuses {
		all = append(all, anyStatus(s))
	}
	for _, s := range DeliverableStatuses {
		if !slices.Contains(all, anyStatus(s)) {
			all = append(all, anyStatus(s))
		}
	}
	return all
}

type updateStatusIn struct {
	ID     string    `json:"id" jsonschema:"of the goal or the deliverable"`
	Status anyStatus `json:"status" jsonschema:"of a goal: planned, active, reached or dropped; of a deliverable: proposed, planned, in_progress, blocked, in_review or done"`
	Note   string    `json:"note,omitempty" jsonschema:"why, for those who read it later"`
}

type updateStatusOut struct {
	ID     string    `json:"id"`
	Status anyStatus `json:"status" jsonschema:"the status it has now"`
}

func (p *Portal) updateStatus(ctx context.Context, r Reader, in updateStatusIn) (out updateStatusOut, err error) {
	view, err := p.View(ctx, r)
	if err != nil {
		return out, err
	}
	if _, err := view.Goal(in.ID); err == nil {
		if !slices.Contains(GoalStatuses, GoalStatus(in.Status)) {
			return out, fmt.Errorf("status: %.100q: a goal has one of %v", in.Status, GoalStatuses)
		}
		_, err = p.SetGoalStatus(ctx, r, in.ID, GoalStatus(in.Status), in.Note)
		return updateStatusOut{ID: in.ID, Status: in.Status}, err
	}
	if !slices.Contains(DeliverableStatuses, DeliverableStatus(in.Status)) {
		return out, fmt.Errorf("status: %.100q: a deliverable has one of %v", in.Status, DeliverableStatuses)
	}
	if _, err := view.Deliverable(in.ID); err != nil {
		return out, fmt.Errorf("id: %w", err)
	}
	_, err = p.SetDeliverableStatus(ctx, r, in.ID, DeliverableStatus(in.Status), in.Note)
	return updateStatusOut{ID: in.ID, Status: in.Status}, err
}

type addNoteIn struct {
	ID      string `json:"id" jsonschema:"of the goal or the deliverable"`
	Text    string `json:"text" jsonschema:"at most 4000 characters"`
	Private bool   `json:"private,omitempty" jsonschema:"only you see it"`
}

type doneOut struct {
	ID string `json:"id"`
}

func (p *Portal) addNote(ctx context.Context, r Reader, in addNoteIn) (doneOut, error) {
	return doneOut{ID: in.ID}, p.AddNote(ctx, r, in.ID, in.Text, in.Private)
}

type proposeIn struct {
	Goal       string   `json:"goal" jsonschema:"id of the goal it serves"`
	Title      string   `json:"title" jsonschema:"at most 200 characters"`
	Due        string   `json:"due" jsonschema:"YYYY-MM-DD"`
	DependsOn  []string `json:"depends_on,omitempty" jsonschema:"ids of deliverables that have to be done first"`
	Acceptance []string `json:"acceptance,omitempty" jsonschema:"what has to hold for it to be done"`
	Links      []Link   `json:"links,omitempty"`
}

type proposeOut struct {
	Deliverable Deliverable `json:"deliverable"`
}

func (p *Portal) propose(ctx context.Context, r Reader, in proposeIn) (proposeOut, error) {
	d, err := p.Propose(ctx, r, Deliverable{
		Goal: in.Goal, Title: in.Title, Due: in.Due, DependsOn: in.DependsOn, Acceptance: in.Acceptance, Links: in.Links,
	})
	return proposeOut{Deliverable: d}, err
}
