package main

import (
	"errors"
	"fmt"
	"io"
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

func readSettings(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxSettings+1))
	if err != nil {
		return "", err
	}
	if len(raw) > maxSettings {
		return "", fmt.Errorf("%s has more than %d bytes", path, maxSettings)
	}
	return string(raw), nil
}
