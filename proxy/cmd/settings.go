package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/berth-mcp/berth/internal/pathname"
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
	c.origins = map[string]string{}
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
		c.origins[flag.Name] = from
		if err := flag.Value.Set(value); err != nil {
			problems = append(problems, notThat(flag.Name, from, value))
		}
	})
	for _, s := range file.Settings {
		if !slices.Contains(names, s.Name) {
			problems = append(problems, fmt.Errorf("%s:%d: there is no setting %q: use clients, %s", file.Name, s.Line, s.Name, strings.Join(names, ", ")))
		}
	}
	return file, errors.Join(append(problems, c.checkValues())...)
}

// notThat is the error for a value that a flag cannot have.
func notThat(flag, from, value string) error {
	if flag == pathSecretFlag { // whoever takes it for the secret itself gives that
		return fmt.Errorf("%s must be true or false; the value is not shown, as it may be a secret: the secret itself is in the file %s, next to the file of clients", from, secretName)
	}
	return fmt.Errorf("%s is %q, which --%s cannot be: see berth-proxy --help", from, value, flag)
}

// origin is where the value of a flag was given.
func (c *common) origin(flag string) string {
	return cmp.Or(c.origins[flag], "--"+flag)
}

// findFile settles which file it is.
func (c *common) findFile(flags *pflag.FlagSet) (err error) {
	flag := flags.Lookup(configFlag)
	from := "--" + configFlag
	if c.configFile == "" {
		from, c.configFile = variable(flag), os.Getenv(variable(flag))
	}
	if c.configFile != "" {
		if err := pathname.Check(pathname.File, c.configFile); err != nil {
			return fmt.Errorf("%s: %w; write ./NAME for a new file in this directory", from, err)
		}
		return nil
	}
	if c.configFile, err = config.DefaultFile(); err != nil {
		return err
	}
	return checkSettingsHome(c.configFile)
}

// checkSettingsHome checks the variable that leads to the file, where the system has one.
func checkSettingsHome(file string) error {
	const variable = "XDG_CONFIG_HOME"
	if !strings.HasPrefix(file, os.Getenv(variable)) {
		return nil
	}
	return checkDirectory(variable)
}

// checkDirectory checks a variable that names a directory, if it is set.
func checkDirectory(variable string) error {
	dir := os.Getenv(variable)
	if dir == "" {
		return nil
	}
	if err := pathname.Check(pathname.Directory, dir); err != nil {
		return fmt.Errorf("%s: %w", variable, err)
	}
	return nil
}

func variable(flag *pflag.Flag) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
}

// given are the shared flags with what the command line and the environment say of them, for
// a program that is started elsewhere and without these. Those in the file it finds there.
func given(command *cobra.Command, leaveOut ...string) []string {
	var words []string
	command.Root().PersistentFlags().VisitAll(func(flag *pflag.Flag) {
		if !flag.Changed && os.Getenv(variable(flag)) == "" || slices.Contains(leaveOut, flag.Name) {
			return
		}
		value := flag.Value.String()
		if list, isList := flag.Value.(pflag.SliceValue); isList {
			value = strings.Join(list.GetSlice(), ",")
		}
		if absolute, err := filepath.Abs(value); err == nil && slices.Contains(fileFlags, flag.Name) {
			value = absolute
		}
		if flag.NoOptDefVal != "" { // a word of its own would not be its value
			words = append(words, "--"+flag.Name+"="+value)
			return
		}
		words = append(words, "--"+flag.Name, value)
	})
	return words
}

// fileFlags are those whose values are files.
var fileFlags = []string{configFlag, tokenFileFlag, caFileFlag}
