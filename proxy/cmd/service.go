package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/internal/pathname"
	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/proxy/atomicfile"
	"github.com/berth-mcp/berth/proxy/service"
	"github.com/berth-mcp/berth/proxy/token"
)

const serviceLong = `Has the proxy start when you log in, by the means of your system: a user unit of
systemd (Linux), an agent of launchd (macOS), a task of the Task Scheduler
(Windows, where it keeps a window open).

It serves the clients that were added with "berth-proxy add". Flags that are given
here, in the environment too, go into the service's file, and so do the variables
by which logins and the network are found.`

// serviceVariables are by which a program finds logins and the network.
var serviceVariables = []string{
	"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"XDG_CONFIG_HOME",
	"PATH", // on which gcloud is
}

func newService(c *common) *cobra.Command {
	command := &cobra.Command{
		Use:   "service",
		Short: "Have the proxy start when you log in",
		Long:  serviceLong,
		Args:  exactly(0, "use service print, install or uninstall"),
		RunE: func(command *cobra.Command, _ []string) error {
			return command.Help()
		},
	}
	for _, sub := range []struct {
		name, short string
		run         func(command *cobra.Command, unit service.Unit) error
	}{
		{"print", "Print the service's file", printService},
		{"install", "Write the service's file, and tell how to start it", installService},
		{"uninstall", "Remove the service's file", uninstallService},
	} {
		command.AddCommand(&cobra.Command{
			Use:   sub.name,
			Short: sub.short,
			Args:  exactly(0, sub.name+" takes none"),
			RunE: func(command *cobra.Command, _ []string) error {
				unit, err := c.service(command)
				if err != nil {
					return err
				}
				return sub.run(command, unit)
			},
		})
	}
	return command
}

func (c *common) service(command *cobra.Command) (service.Unit, error) {
	if _, err := c.settle(command); err != nil {
		return service.Unit{}, err
	}
	if os.Getenv(token.GivenVariable) != "" {
		return service.Unit{}, &exitError{exitUsage, fmt.Errorf("a token in %s is not kept for a service: write it to a file of your own and give --token-file", token.GivenVariable)}
	}
	if err := checkPathVariables(); err != nil {
		return service.Unit{}, &exitError{exitUsage, err}
	}
	program, err := os.Executable()
	if err != nil {
		return service.Unit{}, fmt.Errorf("find the path of berth-proxy: %w", err)
	}
	if err := checkStays(program); err != nil {
		return service.Unit{}, err
	}
	account, err := user.Current()
	if err != nil {
		return service.Unit{}, fmt.Errorf("find who you are: %w", err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return service.Unit{}, fmt.Errorf("find your home directory: %w", err)
	}
	s := service.Service{Program: program, Args: append([]string{"serve"}, given(command)...)}
	for _, name := range serviceVariables {
		if value := os.Getenv(name); value != "" {
			s.Environment = append(s.Environment, name+"="+value)
		}
	}
	who := account.Uid
	if runtime.GOOS == "windows" {
		who = account.Username
	}
	return service.New(runtime.GOOS, s, service.Home{Dir: home, User: who, Getenv: os.Getenv})
}

// pathVariables are those of the serviceVariables that hold a path, or a list of paths. PATH
// is not among them: many a directory in it is not there.
var pathVariables = []struct{ name, what string }{
	{"GOOGLE_APPLICATION_CREDENTIALS", pathname.File},
	{"CLOUDSDK_CONFIG", pathname.Directory},
	{"SSL_CERT_FILE", pathname.File},
	{"SSL_CERT_DIR", pathname.Directory},
	{"XDG_CONFIG_HOME", pathname.Directory},
}

// checkPathVariables keeps a secret in the place of a path out of a file that stays.
func checkPathVariables() error {
	var problems []error
	for _, v := range pathVariables {
		value := os.Getenv(v.name)
		paths := []string{value}
		if v.name == "SSL_CERT_DIR" {
			paths = filepath.SplitList(value)
		}
		for _, path := range paths {
			if path == "" {
				continue
			}
			if err := pathname.Check(v.what, path); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w; it is not written into a service's file", v.name, err))
				break
			}
		}
	}
	return errors.Join(problems...)
}

// checkStays refuses a program that others are to start later, and that will not be there.
func checkStays(program string) error {
	if strings.Contains(program, string(filepath.Separator)+"go-build") {
		return errors.New("this berth-proxy is one of `go run`, which is gone when it ends: build it with `go build -o berth-proxy ./proxy`, put it where it is to stay, and call that")
	}
	return nil
}

func printService(command *cobra.Command, unit service.Unit) error {
	// It is to be written into a file as it is, on Windows in UTF-16.
	_, err := plaintext.Raw(command.OutOrStdout()).Write(unit.Content)
	return err
}

func installService(command *cobra.Command, unit service.Unit) error {
	if err := os.MkdirAll(filepath.Dir(unit.File), 0o700); err != nil {
		return fmt.Errorf("make the directory for the service's file: %w", err)
	}
	if err := atomicfile.Write(unit.File, unit.Content, 0o600); err != nil {
		return fmt.Errorf("write the service's file: %w", err)
	}
	out := command.OutOrStdout()
	return errors.Join(
		tell(out, "wrote "+unit.File+"; start it with", unit.Start),
		tell(out, "its log is in", []string{unit.Log}),
	)
}

func uninstallService(command *cobra.Command, unit service.Unit) error {
	out := command.OutOrStdout()
	err := os.Remove(unit.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_, err = fmt.Fprintf(out, "there is no %s: nothing was to be done\n", unit.File)
		return err
	case err != nil:
		return fmt.Errorf("remove the service's file: %w", err)
	}
	return tell(out, "removed "+unit.File+"; if it runs, stop it with", unit.Stop)
}

func tell(out io.Writer, what string, commands []string) error {
	_, err := fmt.Fprintf(out, "%s\n\n  %s\n\n", what, strings.Join(commands, "\n  "))
	return err
}
