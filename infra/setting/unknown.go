package setting

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"go.yaml.in/yaml/v3"
)

// unknown reports what is set in the namespace and is none of the keys.
func unknown(ctx *pulumi.Context, keys []Key) []error {
	set, err := names(ctx)
	if err != nil {
		return []error{err}
	}
	var known []string
	for _, k := range keys {
		known = append(known, k.Name)
	}
	var found []error
	for _, name := range set {
		if !slices.Contains(known, name) {
			value, _ := ctx.GetConfig(namespace + name)
			found = append(found, Problem(name, shown(ctx, name, value), "is no setting of such a stack; %s", Instead(name, known)))
		}
	}
	return found
}

// names are the names that are set in the namespace "berth", sorted. Pulumi's context
// answers only for names that one knows, so they come from where it gets them:
// the environment under "pulumi up", or else the stack's own file, which is where
// the Automation API puts them.
func names(ctx *pulumi.Context) ([]string, error) {
	var set map[string]any
	if all := os.Getenv(pulumi.EnvConfig); all != "" {
		if err := json.Unmarshal([]byte(all), &set); err != nil {
			return nil, fmt.Errorf("  %s in the environment is not what Pulumi writes: %w", pulumi.EnvConfig, err)
		}
	} else {
		path := filepath.Join(ctx.RootDirectory(), "Pulumi."+ctx.Stack()+".yaml")
		var file struct{ Config map[string]any }
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil // a program that configures its stack otherwise
		}
		if err == nil {
			err = yaml.Unmarshal(content, &file)
		}
		if err != nil {
			return nil, fmt.Errorf("  reading %s: %w", path, err)
		}
		set = file.Config
	}
	var found []string
	for key := range set {
		if name, ours := strings.CutPrefix(key, namespace); ours {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}
