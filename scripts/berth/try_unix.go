//go:build unix

package main

import (
	"github.com/berth-mcp/berth/scripts/berth/try"
	"github.com/spf13/cobra"
)

func tryCommand() *cobra.Command { return try.Command() }
