package cmd

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/proxy/doctor"
)

const doctorLong = `Goes the way of a call step by step and tells of each whether it is well, and if
not, what to do: your login, the token, this computer's clock; the server's name,
its answer, its certificate, whether it refuses strangers, whether it lets you in,
and whether it speaks MCP; the proxy on this computer, and the editors that lead
to it.

Exit codes: 0 nothing has failed, although there may be warnings, or checks that
this computer does not allow (unknown); 1 something has failed; 2 wrong usage.`

func newDoctor(c *common) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:               "doctor [CLIENT... | CLIENT=URL...]",
		Short:             "Find out why an editor does not reach a client's server",
		Long:              doctorLong,
		ValidArgsFunction: c.completeClients(anyNumber),
		RunE: func(command *cobra.Command, args []string) error {
			return c.doctor(command, args, asJSON)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return command
}

func (c *common) doctor(command *cobra.Command, args []string, asJSON bool) error {
	targets, err := c.targets(command, args)
	if len(targets) == 0 {
		return err
	}
	place, wrong := userPlace()
	if wrong != nil {
		return wrong
	}
	secret, wrong := c.secret()
	if wrong != nil {
		return wrong
	}
	// What the log would say is in the report.
	d := doctor.Doctor{Tokens: c.tokens(nil), Targets: targets, Place: place, Port: c.port, RootCAs: c.roots, Version: version(), Secret: secret, SecretFile: c.secretFile()}
	results := d.Run(command.Context())
	write := writeReport
	if asJSON {
		write = writeReportJSON
	}
	if err := errors.Join(err, write(command.OutOrStdout(), results)); err != nil {
		return err
	}
	if doctor.Worst(results) == doctor.Failed {
		return errors.New("something has failed: see above")
	}
	return nil
}

func writeReportJSON(out io.Writer, results []doctor.Result) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(results)
}

func writeReport(out io.Writer, results []doctor.Result) error {
	table := newTable(out)
	for _, r := range results {
		what := r.Check
		if r.Client != "" {
			what = r.Client + ": " + r.Check
		}
		table.row(string(r.Status), what, r.Message)
	}
	return table.flush()
}
