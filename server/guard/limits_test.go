package guard_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
)

func TestTheRateIsTheCallersWhicheverSessionTheyUse(t *testing.T) {
	g := newGuarded(guard.Options{Limits: guard.Limits{CallsPerMinute: 1, Burst: 3}})
	g.add("tool", guard.Viewer, true, answering("done"))
	for range 3 {
		assert.Equal(t, "done", text(call(t, g.as(t, person("ada@example.com")), "tool", nil)))
	}
	session := g.as(t, person("ada@example.com"))
	refused := call(t, session, "tool", nil)
	assert.True(t, refused.IsError)
	assert.Regexp(t, `^too many calls: 1 a minute are yours: try again in \d+ s$`, text(refused))
	assert.Greater(t, refused.Meta["berth/retryAfterSeconds"], 0.0)

	_, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "portal://goals"})
	var busy *jsonrpc.Error
	require.ErrorAs(t, err, &busy)
	assert.EqualValues(t, guard.CodeBusy, busy.Code)
	assert.Contains(t, string(busy.Data), "retryAfterSeconds")
	_, err = session.ListTools(t.Context(), nil)
	require.NoError(t, err, "what an editor asks by itself has limits of its own")
	require.NoError(t, session.Ping(t.Context(), nil))

	assert.Equal(t, "done", text(call(t, g.as(t, person("bob@example.com")), "tool", nil)), "another caller's are his own")
	assert.Equal(t, guard.OutcomeRefused, g.records(t, "tool call")[3]["outcome"])
}

func TestWhatEditorsAskByThemselvesHasAnEnd(t *testing.T) {
	for method, ask := range map[string]func(*mcp.ClientSession) error{
		"tools/list":   func(s *mcp.ClientSession) error { _, err := s.ListTools(t.Context(), nil); return err },
		"prompts/list": func(s *mcp.ClientSession) error { _, err := s.ListPrompts(t.Context(), nil); return err },
		"ping":         func(s *mcp.ClientSession) error { return s.Ping(t.Context(), nil) },
		"completion/complete": func(s *mcp.ClientSession) error {
			_, err := s.Complete(t.Context(), &mcp.CompleteParams{Ref: &mcp.CompleteReference{Type: "ref/prompt", Name: "x"}, Argument: mcp.CompleteParamsArgument{Name: "y"}})
			return err
		},
	} {
		t.Run(method, func(t *testing.T) {
			g := newGuarded(guard.Options{Limits: guard.Limits{CallsPerMinute: 1, Burst: 2}})
			g.add("tool", guard.Viewer, true, answering("done"))
			g.guard.AddPrompt(guard.Viewer, &mcp.Prompt{Name: "x"}, nil)
			session := g.as(t, person("ada@example.com"))
			var busy *jsonrpc.Error
			for asked := 0; busy == nil; asked++ {
				require.Less(t, asked, 30)
				if err := ask(session); !errors.As(err, &busy) {
					require.NoError(t, err)
				}
			}
			assert.EqualValues(t, guard.CodeBusy, busy.Code)
			assert.Regexp(t, `^too many requests: 10 a minute are yours: try again in \d+ s$`, busy.Message)
			records := g.records(t, "request")
			require.Len(t, records, 1, "only of what was refused")
			assert.Equal(t, method, records[0]["method"])
			assert.Equal(t, "ada@example.com", records[0]["caller"])
			assert.Equal(t, guard.OutcomeRefused, records[0]["outcome"])
			assert.Equal(t, "WARNING", records[0]["severity"])
			assert.Contains(t, records[0]["reason"], "too many requests")

			assert.Equal(t, "done", text(call(t, session, "tool", nil)), "the calls are not spent with it")
			_, err := g.connect(t, person("ada@example.com"))
			require.ErrorContains(t, err, "too many requests", "nor does another session help")
			_, err = g.connect(t, person("bob@example.com"))
			require.NoError(t, err)
		})
	}
}

func TestSeveralEditorsMayStartAtOnce(t *testing.T) {
	g := newGuarded(guard.Options{}) // the defaults
	g.add("tool", guard.Viewer, true, answering("done"))
	var editors sync.WaitGroup
	for range 5 {
		editors.Go(func() {
			session := g.as(t, person("ada@example.com"))
			for range 3 {
				_, err := session.ListTools(t.Context(), nil)
				assert.NoError(t, err)
				_, err = session.ListPrompts(t.Context(), nil)
				assert.NoError(t, err)
				_, err = session.ListResources(t.Context(), nil)
				assert.NoError(t, err)
				_, err = session.ListResourceTemplates(t.Context(), nil)
				assert.NoError(t, err)
				assert.NoError(t, session.Ping(t.Context(), nil))
			}
		})
	}
	editors.Wait()
	assert.NotContains(t, g.log.String(), guard.OutcomeRefused)
}

func TestOneCallerHasSoManyCallsAtTheSameTime(t *testing.T) {
	g := newGuarded(guard.Options{Limits: guard.Limits{Concurrent: 2}})
	running, answer := make(chan struct{}), make(chan struct{})
	g.add("slow", guard.Viewer, true, func(context.Context) (string, error) {
		running <- struct{}{}
		<-answer
		return "done", nil
	})
	session := g.as(t, person("ada@example.com"))
	results := make(chan *mcp.CallToolResult, 2)
	for range 2 {
		go func() {
			result, _ := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "slow"})
			results <- result
		}()
		<-running
	}
	refused := call(t, session, "slow", nil)
	assert.True(t, refused.IsError)
	assert.Contains(t, text(refused), "you have 2 calls running")

	close(answer)
	for range 2 {
		assert.Equal(t, "done", text(<-results))
	}
	go func() { <-running }()
	assert.Equal(t, "done", text(call(t, session, "slow", nil)))
}

func TestAToolThatTakesTooLongIsNotWaitedFor(t *testing.T) {
	g := newGuarded(guard.Options{Limits: guard.Limits{
		Concurrent:   1,
		ToolTimeouts: map[string]time.Duration{"heedless": 10 * time.Millisecond, "heeding": 10 * time.Millisecond},
	}})
	end, ended := make(chan struct{}), make(chan struct{})
	g.add("heedless", guard.Viewer, true, func(context.Context) (string, error) {
		defer close(ended)
		<-end
		return "late", nil
	})
	g.add("heeding", guard.Viewer, true, func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() })
	session := g.as(t, person("ada@example.com"))

	assert.Contains(t, text(call(t, g.as(t, person("bob@example.com")), "heeding", nil)), "took longer than the 10ms")
	require.Contains(t, text(call(t, session, "heedless", nil)), "took longer than the 10ms")
	assert.Contains(t, text(call(t, session, "heeding", nil)), "you have 1 calls running", "it is still at work")
	close(end)
	<-ended
	require.Eventually(t, func() bool { return strings.Contains(text(call(t, session, "heeding", nil)), "took longer") }, time.Minute, time.Millisecond)
	assert.Equal(t, guard.OutcomeTimeout, g.records(t, "tool call")[0]["outcome"])
	assert.Equal(t, guard.OutcomeTimeout, g.records(t, "tool call")[1]["outcome"])
}

func TestAResultThatIsTooLargeIsReplaced(t *testing.T) {
	g := newGuarded(guard.Options{Limits: guard.Limits{ResultBytes: 1000}})
	g.add("small", guard.Viewer, true, answering(strings.Repeat("x", 1000)))
	g.add("large", guard.Viewer, true, answering(strings.Repeat("x", 1001)))
	guard.AddTool(g.guard, guard.Viewer, &mcp.Tool{Name: "structured"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, []string, error) {
		return nil, []string{strings.Repeat("x", 600)}, nil // once as text, once as structure
	})
	g.guard.AddResource(guard.Viewer, &mcp.Resource{URI: "portal://goals", Name: "goals"}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: "portal://goals", Text: strings.Repeat("x", 1001)}}}, nil
	})
	g.guard.AddPrompt(guard.Viewer, &mcp.Prompt{Name: "weekly"}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: strings.Repeat("x", 1001)}}}}, nil
	})
	session := g.as(t, person("ada@example.com"))
	assert.False(t, call(t, session, "small", nil).IsError)
	for _, tool := range []string{"large", "structured"} {
		result := call(t, session, tool, nil)
		assert.True(t, result.IsError, tool)
		assert.Contains(t, text(result), "1000 are the most")
	}

	_, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "portal://goals"})
	assert.ErrorContains(t, err, "1000 are the most")
	_, err = session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "weekly"})
	assert.ErrorContains(t, err, "1000 are the most")
}

func TestLimitsBelowZeroAreErrors(t *testing.T) {
	err := guard.Limits{CallsPerMinute: -1, Burst: -1, Concurrent: -1, Streams: -1, ResultBytes: -1, ToolTimeout: -1,
		ToolTimeouts: map[string]time.Duration{"x": 0}}.Check()
	for _, field := range []string{"calls_per_minute", "burst", "concurrent", "streams", "result_bytes", "tool_timeout", "tool_timeouts.x"} {
		assert.ErrorContains(t, err, "limits."+field+": ")
	}
}
