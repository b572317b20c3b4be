package setting

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"go.yaml.in/yaml/v3"
)

// unknown reports what is set in the namespace and is none of the keys. The file is
// the stack's own.
func unknown(ctx *pulumi.Context, keys []Key, file map[string]any) []error {
	set, err := names(file)
	if err != nil {
		return []error{err}
	}
	declared, err := declarations(ctx)
	if err != nil {
		return []error{err}
	}
	var known []string
	for _, k := range keys {
		known = append(known, k.Name)
	}
	var found []error
	for _, name := range set {
		value, _ := ctx.GetConfig(namespace + name)
		of, another := declared[namespace+name]
		switch {
		case slices.Contains(known, name) || another && isDefault(value, of.Default):
		case another:
			found = append(found, Problem(name, shown(ctx.IsConfigSecret(namespace+name), value), "is a setting of another kind of stack; remove it (pulumi config rm %s%s), or change berth:kind", namespace, name))
		default:
			found = append(found, Problem(name, shown(ctx.IsConfigSecret(namespace+name), value), "is no setting of such a stack; %s", Instead(name, known)))
		}
	}
	return found
}

// declarations are what Pulumi.yaml declares. Pulumi passes their defaults to every
// stack, whatever its kind.
func declarations(ctx *pulumi.Context) (map[string]workspace.ProjectConfigType, error) {
	path := filepath.Join(ctx.RootDirectory(), "Pulumi.yaml")
	project, err := workspace.LoadProject(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // a program that is its own project
	}
	if err != nil {
		return nil, fmt.Errorf("  reading %s: %w", path, err)
	}
	return project.Config, nil
}

func isDefault(raw string, byDefault any) bool {
	if text, ok := byDefault.(string); ok {
		return raw == text
	}
	given, err := parse(raw)
	want, _ := parse(asJSON(byDefault)) // just encoded
	return err == nil && reflect.DeepEqual(given, want)
}

// names are the names that are set in the namespace "berth", sorted. Pulumi's context
// answers only for names that one knows, so they come from where it gets them:
// the environment under "pulumi up", or else the stack's own file, which is where
// the Automation API puts them.
func names(file map[string]any) ([]string, error) {
	set := file
	if all := os.Getenv(pulumi.EnvConfig); all != "" {
		set = nil
		if err := json.Unmarshal([]byte(all), &set); err != nil {
			return nil, fmt.Errorf("  %s in the environment is not what Pulumi writes: %w", pulumi.EnvConfig, err)
		}
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

// written is what the stack's own file has, in which what is encrypted is a map with
// the field "secure"; nothing, where a program configures its stack otherwise.
func written(ctx *pulumi.Context) (map[string]any, error) {
	path := filepath.Join(ctx.RootDirectory(), "Pulumi."+ctx.Stack()+".yaml")
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var file struct{ Config map[string]any }
	if err == nil {
		err = yaml.Unmarshal(content, &file)
	}
	if err != nil {
		return nil, fmt.Errorf("  reading %s: %w", path, err)
	}
	return file.Config, nil
}
