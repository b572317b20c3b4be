// Command infra is Berth's Pulumi program. A stack is a client, or what all clients
// in a Google Cloud project share.
package main

import (
	"fmt"

	"github.com/berth-mcp/berth/infra/client"
	"github.com/berth-mcp/berth/infra/project"
	"github.com/berth-mcp/berth/infra/setting"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

//go:generate go test -run TestWhatIsGeneratedIsCurrent -update .

func main() { pulumi.Run(stack) }

// stack runs the program of the stack's kind.
func stack(ctx *pulumi.Context) error {
	switch kind := setting.KindOf(ctx); kind {
	case "client":
		return client.Stack(ctx)
	case "project":
		return project.Stack(ctx)
	default:
		return fmt.Errorf("berth:kind: %q is no kind of stack; set it to client or project: pulumi config set berth:kind client", kind)
	}
}
