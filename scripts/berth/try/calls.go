package try

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// callTime bounds one visit, cold start included.
const callTime = 30 * time.Second

// answer is what the server said to a developer.
type answer struct {
	Email, Client string // whoami
	Goals         int    // list_goals
}

// visit does what an editor does: connect to the local proxy, and call tools.
func visit(ctx context.Context, endpoint string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: "berth-try", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: endpoint}, nil)
	if err != nil {
		return answer{}, err
	}
	defer session.Close()

	var a answer
	if err := call(ctx, session, "whoami", &a); err != nil {
		return answer{}, err
	}
	var goals struct{ Goals []json.RawMessage }
	if err := call(ctx, session, "list_goals", &goals); err != nil {
		return answer{}, err
	}
	a.Goals = len(goals.Goals)
	return a, nil
}

// call calls a tool without arguments and decodes its structured output.
func call(ctx context.Context, session *mcp.ClientSession, tool string, out any) error {
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool})
	if err != nil {
		return err
	}
	if result.IsError {
		return fmt.Errorf("%s failed: %v", tool, result.Content)
	}
	encoded, err := json.Marshal(result.StructuredContent)
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", tool, err)
	}
	return json.Unmarshal(encoded, out)
}

// refusal gives the sentence with which a call was refused. Any other outcome,
// a failure for another reason included, is an error.
func refusal(ctx context.Context, endpoint string) (sentence string, err error) {
	a, err := visit(ctx, endpoint)
	if err == nil {
		return "", fmt.Errorf("the call was let through as %s", a.Email)
	}
	var said *jsonrpc.Error
	if !errors.As(err, &said) || said.Code != relay.CodeNoAccess {
		return "", fmt.Errorf("the call failed, but not with a refusal: %w", err)
	}
	return said.Message, nil
}
