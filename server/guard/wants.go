package guard

import (
	"context"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxSubscriptions is how many resources one subscriptions/listen may name: each
// is looked up before the first answer, and again when it changes.
const maxSubscriptions = 100

func wantsTool(f features, params mcp.Params) ([]*feature, mcp.MethodHandler) {
	p, ok := params.(*mcp.CallToolParamsRaw)
	if !ok || p == nil {
		return nil, invalid("it does not name a tool")
	}
	return f.named(toolKind, p.Name)
}

func wantsPrompt(f features, params mcp.Params) ([]*feature, mcp.MethodHandler) {
	p, ok := params.(*mcp.GetPromptParams)
	if !ok || p == nil {
		return nil, invalid("it does not name a prompt")
	}
	return f.named(promptKind, p.Name)
}

func wantsResource(f features, params mcp.Params) ([]*feature, mcp.MethodHandler) {
	p, ok := params.(*mcp.ReadResourceParams)
	if !ok || p == nil {
		return nil, invalid("it does not name a resource")
	}
	return f.at(p.URI)
}

func wantsSubscribed(f features, params mcp.Params) ([]*feature, mcp.MethodHandler) {
	p, ok := params.(*mcp.SubscribeParams)
	if !ok || p == nil {
		return nil, invalid("it does not name a resource")
	}
	return f.at(p.URI)
}

func wantsUnsubscribed(f features, params mcp.Params) ([]*feature, mcp.MethodHandler) {
	p, ok := params.(*mcp.UnsubscribeParams)
	if !ok || p == nil {
		return nil, invalid("it does not name a resource")
	}
	return f.at(p.URI)
}

func wantsListening(f features, params mcp.Params) ([]*feature, mcp.MethodHandler) {
	p, ok := params.(*mcp.SubscriptionsListenParams)
	if !ok || p == nil || p.Notifications == nil {
		return nil, invalid("it lacks the field notifications")
	}
	uris := p.Notifications.ResourceSubscriptions
	if len(uris) > maxSubscriptions {
		return nil, invalid(fmt.Sprintf(
			"notifications.resourceSubscriptions: it names %d resources, and %d are the most: subscribe to a list of them instead",
			len(uris), maxSubscriptions))
	}
	var wanted []*feature
	for _, uri := range uris {
		found, unknown := f.at(uri)
		if unknown != nil {
			return nil, unknown
		}
		wanted = append(wanted, found...)
	}
	return wanted, nil
}

// wantsCompletion finds the prompt or the template whose argument is to be completed.
// For one that is not known there is nothing to suggest: the handler is not asked.
func wantsCompletion(f features, params mcp.Params) (wanted []*feature, unknown mcp.MethodHandler) {
	p, ok := params.(*mcp.CompleteParams)
	if !ok || p == nil || p.Ref == nil {
		return nil, invalid("it lacks the field ref: name the prompt or the resource template")
	}
	switch p.Ref.Type {
	case "ref/prompt":
		wanted, unknown = f.named(promptKind, p.Ref.Name)
	case "ref/resource":
		wanted, unknown = f.named(resourceKind, p.Ref.URI)
	default:
		return nil, invalid("ref.type: use ref/prompt or ref/resource")
	}
	if unknown != nil {
		unknown = answering(&mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{}}}, nil)
	}
	return wanted, unknown
}

// named finds a feature by its name.
func (f features) named(of kind, name string) ([]*feature, mcp.MethodHandler) {
	found, known := f[of][name]
	if !known {
		return nil, invalid(fmt.Sprintf("unknown %s %q", of, cut(name)))
	}
	return []*feature{found}, nil
}

// at finds all features that a URI reaches.
func (f features) at(uri string) ([]*feature, mcp.MethodHandler) {
	found := f.reached(uri)
	if len(found) == 0 {
		return nil, answering(nil, mcp.ResourceNotFoundError(uri))
	}
	return found, nil
}

func invalid(why string) mcp.MethodHandler {
	return answering(nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: why})
}

// answering returns a handler that has one answer to everything.
func answering(result mcp.Result, err error) mcp.MethodHandler {
	return func(context.Context, string, mcp.Request) (mcp.Result, error) { return result, err }
}
