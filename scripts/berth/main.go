// Command berth is the operator's tool.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/scripts/berth/doctor"
	_ "github.com/berth-mcp/berth/scripts/berth/terminal"
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
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.SetErr(plaintext.NewWriter(os.Stderr)) // errors quote what others have said
	root.AddCommand(tryCommand(), doctor.Command())
	if err := root.ExecuteContext(ctx); err != nil {
		root.PrintErrln("berth:", err)
		stop()
		os.Exit(1)
	}
}
