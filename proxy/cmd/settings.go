package cmd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/berth-mcp/berth/proxy/config"
	"github.com/berth-mcp/berth/proxy/filestate"
)

// settings gives every shared flag that is not on the command line the value of its
// variable, such as BERTH_PROXY_TOKEN_URL, or else the one in the file. An empty variable
// is one that is not set. The error tells every problem.
func (c *common) settings(command *cobra.Command) (config.File, error) {
	flags := command.Root().PersistentFlags()
	problems := []error{checkDebugging()}
	if err := c.findFile(flags); err != nil {
		return config.File{}, errors.Join(append(problems, err)...)
	}
	c.read = filestate.Of(c.configFile) // before: a change in between is then seen as one
	file, err := config.Read(c.configFile)
	problems = append(problems, err)

	var names []string
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Name == configFlag {
			return
		}
		names = append(names, flag.Name)
		if flag.Changed {
			return
		}
		value, from := os.Getenv(variable(flag)), variable(flag)
		if i := slices.IndexFunc(file.Settings, func(s config.Setting) bool { return s.Name == flag.Name }); value == "" && i >= 0 {
			value, from = file.Settings[i].Value, fmt.Sprintf("%s:%d: %s", file.Name, file.Settings[i].Line, flag.Name)
		}
		if value == "" {
			return
		}
		if err := flag.Value.Set(value); err != nil {
			problems = append(problems, fmt.Errorf("%s is %q, which --%s cannot be: see berth-proxy --help", from, value, flag.Name))
		}
	})
	for _, s := range file.Settings {
		if !slices.Contains(names, s.Name) {
			problems = append(problems, fmt.Errorf("%s:%d: there is no setting %q: use clients, %s", file.Name, s.Line, s.Name, strings.Join(names, ", ")))
		}
	}
	return file, errors.Join(append(problems, c.checkValues())...)
}

// findFile settles which file it is.
func (c *common) findFile(flags *pflag.FlagSet) (err error) {
	if c.configFile == "" {
		c.configFile = os.Getenv(variable(flags.Lookup(configFlag)))
	}
	if c.configFile == "" {
		c.configFile, err = config.DefaultFile()
	}
	return err
}

func variable(flag *pflag.Flag) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
}
