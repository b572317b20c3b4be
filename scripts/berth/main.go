// Command berth is the operator's tool.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/berth-mcp/berth/scripts/berth/doctor"
	"github.com/berth-mcp/berth/scripts/berth/try"
	"github.com/spf13/cobra"
)

func main() {
	// A closed terminal and a closed pipe are ways to say stop, too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the command at once
	root := &cobra.Command{
		Use:           "berth",
		Short:         "Private MCP servers on Cloud Run, one per client",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(try.Command(), doctor.Command())
	if err := root.ExecuteContext(ctx); err != nil {
		root.PrintErrln("berth:", err)
		stop()
		os.Exit(1)
	}
}
