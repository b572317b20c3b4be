package guard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// bound ends a tool call that takes too long, and replaces a result that is too
// large. A tool that does not heed its context runs on, and leaves when it is done,
// but nobody waits for it.
func (l *limiter) bound(ctx context.Context, req mcp.Request, next mcp.MethodHandler, leave func()) (mcp.Result, error) {
	timeout := cmp.Or(l.ToolTimeouts[toolName(req)], l.ToolTimeout)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	type answer struct {
		result mcp.Result
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		defer leave()
		result, err := next(limited, methodCallTool, req)
		answered <- answer{result, err}
	}()
	select {
	case a := <-answered:
		if ctx.Err() == nil && limited.Err() != nil && (a.err != nil || isToolError(a.result)) {
			return timedOut(ctx, timeout)
		}
		if a.err != nil {
			return a.result, a.err
		}
		return l.cap(a.result)
	case <-limited.Done():
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return timedOut(ctx, timeout)
	}
}

func timedOut(ctx context.Context, timeout time.Duration) (mcp.Result, error) {
	if record := recordFrom(ctx); record != nil {
		record.Outcome = OutcomeTimeout
	}
	return failed(fmt.Sprintf("the tool took longer than the %s it may take: ask for less at a time", timeout)), nil
}

// cap refuses a result that is larger than it may be: a tool's in a result, which
// the model gets to read.
func (l *limiter) cap(result mcp.Result) (mcp.Result, error) {
	size, tool := 0, false
	switch r := result.(type) {
	case *mcp.CallToolResult:
		size, tool = resultSize(r), true
	case *mcp.ReadResourceResult, *mcp.GetPromptResult:
		size = encodedSize(r)
	}
	if size <= l.ResultBytes {
		return result, nil
	}
	why := fmt.Sprintf("the result has %d bytes, and %d are the most: filter, or ask for fewer at a time", size, l.ResultBytes)
	if tool {
		return failed(why), nil
	}
	return nil, errors.New(why)
}

// resultSize is about how many bytes a result is on the wire.
func resultSize(r *mcp.CallToolResult) int {
	if r == nil {
		return 0
	}
	size := 0
	for _, content := range r.Content {
		switch c := content.(type) {
		case *mcp.TextContent:
			size += len(c.Text)
		case *mcp.ImageContent:
			size += len(c.Data)
		case *mcp.AudioContent:
			size += len(c.Data)
		default:
			size += encodedSize(c)
		}
	}
	switch structured := r.StructuredContent.(type) {
	case nil:
	case json.RawMessage: // what mcp.AddTool makes of every typed result
		size += len(structured)
	default:
		size += encodedSize(structured)
	}
	return size
}

func encodedSize(v any) int {
	raw, err := json.Marshal(v)
	if err != nil {
		return 0 // it will not be sent either
	}
	return len(raw)
}

func isToolError(result mcp.Result) bool {
	r, ok := result.(*mcp.CallToolResult)
	return ok && r != nil && r.IsError
}

func failed(why string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: why}}, IsError: true}
}
