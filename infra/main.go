// Command infra is Berth's Pulumi program. A stack is a client.
package main

import (
	"github.com/berth-mcp/berth/infra/client"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

//go:generate go test -run TestWhatIsGeneratedIsCurrent -update .

func main() { pulumi.Run(client.Stack) }
