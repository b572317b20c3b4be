package portal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/server/guard"
)

// The resources: everything, and each item.
const (
	scheme              = "portal://"
	goalsURI            = scheme + "goals"
	deliverablesURI     = scheme + "deliverables"
	goalTemplate        = goalsURI + "/{id}"
	deliverableTemplate = deliverablesURI + "/{id}"

	jsonType = "application/json"

	// maxCompletions is the most that the protocol allows.
	maxCompletions = 100
)

// uriOf is the URI of the resource that a document is.
func uriOf(name string) string { return scheme + strings.TrimSuffix(name, ".yaml") }

func (p *Portal) registerResources(g *guard.Guard) {
	for _, resource := range []*mcp.Resource{
		{URI: goalsURI, Name: "goals", Title: "Goals", Description: "All goals agreed with the client, without notes and history.", MIMEType: jsonType},
		{URI: deliverablesURI, Name: "deliverables", Title: "Deliverables", Description: "All deliverables agreed with the client, without notes and history.", MIMEType: jsonType},
	} {
		g.AddResource(guard.Viewer, resource, p.readResource)
	}
	for _, template := range []*mcp.ResourceTemplate{
		{URITemplate: goalTemplate, Name: "goal", Title: "Goal", Description: "One goal, with its notes and history.", MIMEType: jsonType},
		{URITemplate: deliverableTemplate, Name: "deliverable", Title: "Deliverable", Description: "One deliverable, with its notes and history.", MIMEType: jsonType},
	} {
		g.AddResourceTemplate(guard.Viewer, template, p.readResource)
	}
}

func (p *Portal) readResource(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	reader, err := readerFrom(ctx)
	if err != nil {
		return nil, err
	}
	view, err := p.View(ctx, reader)
	if err != nil {
		return nil, err
	}
	content, found := view.resource(req.Params.URI)
	if !found {
		return nil, mcp.ResourceNotFoundError(req.Params.URI)
	}
	text, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, MIMEType: jsonType, Text: string(text)}}}, nil
}

// resource is what a URI names.
func (v View) resource(uri string) (content any, found bool) {
	switch uri {
	case goalsURI:
		return brief(slices.Clone(v.Goals)), true
	case deliverablesURI:
		return brief(slices.Clone(v.Deliverables)), true
	}
	if id, ok := strings.CutPrefix(uri, goalsURI+"/"); ok {
		goal, err := v.Goal(id)
		return goal, err == nil
	}
	if id, ok := strings.CutPrefix(uri, deliverablesURI+"/"); ok {
		deliverable, err := v.Deliverable(id)
		return deliverable, err == nil
	}
	return nil, false
}

// Complete offers the ids that an argument may have, of what the caller sees.
func (p *Portal) Complete(ctx context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
	reader, err := readerFrom(ctx)
	if err != nil {
		return nil, err
	}
	if req.Params.Ref == nil {
		return nil, errors.New("ref: name the prompt or the resource template")
	}
	view, err := p.View(ctx, reader)
	if err != nil {
		return nil, err
	}
	var ids []string
	switch ref := req.Params.Ref; {
	case ref.URI == deliverableTemplate && req.Params.Argument.Name == "id":
		for _, d := range view.Deliverables {
			ids = append(ids, d.ID)
		}
	case ref.URI == goalTemplate && req.Params.Argument.Name == "id",
		ref.Name == promptPlan && req.Params.Argument.Name == "goal":
		ids = view.goalIDs()
	}
	slices.Sort(ids)
	matching := []string{}
	for _, id := range ids {
		if strings.HasPrefix(strings.ToLower(id), strings.ToLower(req.Params.Argument.Value)) {
			matching = append(matching, id)
		}
	}
	total := len(matching)
	return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{
		Values: matching[:min(total, maxCompletions)], Total: total, HasMore: total > maxCompletions,
	}}, nil
}

const (
	promptWeekly = "weekly_status"
	promptPlan   = "plan_next_deliverable"
)

func (p *Portal) registerPrompts(g *guard.Guard) {
	g.AddPrompt(guard.Viewer, &mcp.Prompt{
		Name: promptWeekly, Title: "Weekly status",
		Description: "Writes the week's status of the client's goals, from the portal.",
	}, p.weeklyStatus)
	g.AddPrompt(guard.Viewer, &mcp.Prompt{
		Name: promptPlan, Title: "Plan the next deliverable",
		Description: "Plans what to deliver next for a goal, from its acceptance criteria and dependencies.",
		Arguments:   []*mcp.PromptArgument{{Name: "goal", Title: "Goal", Description: "id of the goal, such as G1", Required: true}},
	}, p.planNext)
}

func (p *Portal) weeklyStatus(ctx context.Context, _ *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	reader, err := readerFrom(ctx)
	if err != nil {
		return nil, err
	}
	progress, err := p.progress(ctx, reader, nothing{})
	if err != nil {
		return nil, err
	}
	pressing, err := p.dueOrBlocked(ctx, reader, dueIn{Days: 7})
	if err != nil {
		return nil, err
	}
	return prompt("The week's status of "+p.Title(), fmt.Sprintf(
		"Write the weekly status of %s for its managers: one paragraph, then a line for each goal, then what is overdue, due this week or blocked, each with its owner and what it waits for. "+
			"Use nothing but the figures below and what get_deliverable says; where something is not known, say so.", p.Title()),
		struct {
			Progress progressOut `json:"progress"`
			Pressing dueOut      `json:"pressing"`
		}{progress, pressing})
}

func (p *Portal) planNext(ctx context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	reader, err := readerFrom(ctx)
	if err != nil {
		return nil, err
	}
	view, err := p.View(ctx, reader)
	if err != nil {
		return nil, err
	}
	goal, err := view.Goal(req.Params.Arguments["goal"])
	if err != nil {
		return nil, fmt.Errorf("goal: %w", err)
	}
	instruction := "Choose the deliverable to work on next for the goal below: agreed on, not done, and waiting for nothing that is not done. Break it into steps, each of which a reviewer can check against one of its acceptance criteria. If what the goal needs is missing, propose it"
	if !p.ReadOnly() && reader.Role >= guard.Contributor {
		instruction += " with propose_deliverable"
	}
	return prompt("The next deliverable for "+goal.ID, instruction+".", struct {
		Goal         Goal          `json:"goal"`
		Deliverables []Deliverable `json:"deliverables"`
	}{goal, brief(view.serving(goal.ID))})
}

// prompt is a message of an instruction and the data it is about.
func prompt(description, instruction string, about any) (*mcp.GetPromptResult, error) {
	data, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return nil, err
	}
	return &mcp.GetPromptResult{Description: description, Messages: []*mcp.PromptMessage{{
		Role: "user", Content: &mcp.TextContent{Text: instruction + "\n\n" + string(data)},
	}}}, nil
}
