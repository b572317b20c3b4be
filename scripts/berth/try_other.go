//go:build !unix

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// tryCommand stands for the one that ends what it has started as only Unix can.
func tryCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "try",
		Short:              "Deploy the stack dev on a local cloud: on Linux, macOS and WSL",
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("try runs on Linux and macOS; on Windows, run it in WSL (wsl --install)")
		},
	}
}
