package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

// maxSettings bounds the settings, in bytes.
const maxSettings = 1 << 20

// settings are what is too large for a variable of its own: YAML in
// BERTH_CONFIG, or in the file that BERTH_CONFIG_FILE names. All of it is
// optional.
type settings struct {
	OIDC   identity.OIDCConfig `yaml:"oidc"`
	Access guard.Access        `yaml:"access"`
	Limits guard.Limits        `yaml:"limits"`
}

// loadSettings reads the settings, and says which variable they come from.
func loadSettings(getenv func(string) string) (s settings, variable string, err error) {
	text, file := getenv("BERTH_CONFIG"), getenv("BERTH_CONFIG_FILE")
	switch {
	case text != "" && file != "":
		return s, "BERTH_CONFIG_FILE", errors.New("BERTH_CONFIG is set as well: keep one of the two")
	case file != "":
		variable = "BERTH_CONFIG_FILE"
		if text, err = readSettings(file); err != nil {
			return s, variable, err
		}
	default:
		variable = "BERTH_CONFIG"
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true) // a misspelt field would leave something open
	if err := decoder.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return s, variable, fmt.Errorf("it cannot be read: %w", err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return s, variable, errors.New("it goes on after its first YAML document, and none of that would count: write all of it as one, without ---")
	}
	return s, variable, errors.Join(s.Access.Check(), s.Limits.Check())
}

// notAPath leaves out of an error the path that was given: it may be the content of a file,
// secrets with it, that somebody put in its place.
func notAPath(err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return fmt.Errorf("must be the path of a file of settings: %w", err)
}

func readSettings(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", notAPath(err)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxSettings+1))
	if err != nil {
		return "", notAPath(err)
	}
	if len(raw) > maxSettings {
		return "", fmt.Errorf("the file has more than %d bytes", maxSettings)
	}
	return string(raw), nil
}
