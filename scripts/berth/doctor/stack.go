package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/berth-mcp/berth/infra/image"
	"github.com/berth-mcp/berth/internal/pulumicli"
	"go.yaml.in/yaml/v3"
)

// stack is what is to be looked at.
type stack struct {
	name      string         // empty: there is none yet
	root      string         // the clone that it is in
	settings  map[string]any // by full name, like gcp:project; an encrypted one is a map with the key "secure"
	encrypted string         // the stack's secrets provider, if it is not the passphrase
}

var stackName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// readStack reads Pulumi.NAME.yaml in the clone that this runs in.
func readStack(full string) (stack, error) {
	name := full[strings.LastIndex(full, "/")+1:] // Pulumi's own form may be org/project/name
	if !stackName.MatchString(name) {
		return stack{}, fmt.Errorf("%q is not a stack's name: want letters, digits, hyphens, underscores and periods", full)
	}
	root, err := pulumicli.Root()
	if err != nil {
		return stack{}, err
	}
	path := filepath.Join(root, "Pulumi."+name+".yaml")
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return stack{}, fmt.Errorf("there is no %s: pulumi stack init %s, then pulumi config set, or name a project: berth doctor --project PROJECT --region REGION", path, name)
	}
	if err != nil {
		return stack{}, err
	}
	var file struct {
		SecretsProvider string         `yaml:"secretsprovider"`
		Config          map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return stack{}, fmt.Errorf("%s is not YAML: %w", path, err)
	}
	if file.SecretsProvider == "passphrase" {
		file.SecretsProvider = ""
	}
	return stack{name: name, root: root, settings: file.Config, encrypted: file.SecretsProvider}, nil
}

// text gives a setting that is text and not encrypted.
func (s stack) text(key string) string {
	value, _ := s.settings[key].(string)
	return value
}

// isEncrypted says whether the file has the setting in a form that only the stack's
// passphrase opens.
func (s stack) isEncrypted(key string) bool {
	value, isMap := s.settings[key].(map[string]any)
	_, secure := value["secure"]
	return isMap && secure
}

// has says whether the stack sets something to anything but nothing.
func (s stack) has(key string) bool {
	switch value := s.settings[key].(type) {
	case nil:
		return false
	case string:
		return value != ""
	case []any:
		return len(value) > 0
	case map[string]any:
		return len(value) > 0
	default:
		return true
	}
}

// enabled says whether the stack turns on something that is off by default.
func (s stack) enabled(key string) bool {
	fields, _ := s.settings[key].(map[string]any)
	return fields["enabled"] == true
}

// sets says whether the stack sets a field of a setting to anything but nothing, as
// the examples do that show every setting.
func (s stack) sets(key, name string) bool {
	fields, _ := s.settings[key].(map[string]any)
	return fields[name] != nil && fields[name] != "" && fields[name] != 0
}

// setsAny says whether any entry of a setting sets a field.
func (s stack) setsAny(key, name string) bool {
	entries, _ := s.settings[key].(map[string]any)
	for _, entry := range entries {
		if fields, _ := entry.(map[string]any); fields[name] != nil && fields[name] != "" {
			return true
		}
	}
	return false
}

func (s stack) project() string { return s.text("gcp:project") }
func (s stack) region() string  { return s.text("gcp:region") }

// isProject says whether the stack is a project's and not a client's.
func (s stack) isProject() bool { return s.text("berth:kind") == "project" }

// service is the name of the client's service and of all that is its own.
func (s stack) service() string {
	if name := s.text("berth:client"); name != "" {
		return "berth-" + name
	}
	return "berth-" + s.name
}

// developers are the members that the stack lets in.
func (s stack) developers() []string {
	var members []string
	list, _ := s.settings["berth:developers"].([]any)
	for _, member := range list {
		if text, isText := member.(string); isText {
			members = append(members, text)
		}
	}
	return members
}

// identity is who deploys, as the gcp provider sees it.
func (s stack) identity() image.Identity {
	return image.ProviderIdentity(func(key string) (string, bool) {
		value, set := s.settings["gcp:"+key].(string)
		return value, set
	})
}

var (
	projectID  = regexp.MustCompile(`^([-a-z0-9.]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$`)
	regionName = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`)
)

// place looks at what every stack needs: a project and a region.
func (s stack) place() (findings []finding, good bool) {
	good = true
	for _, need := range []struct {
		key, what, example string
		form               *regexp.Regexp
	}{
		{"gcp:project", "a project id, which has 6 to 30 of a-z, 0-9 and hyphens", "PROJECT", projectID},
		{"gcp:region", "a region, such as europe-west1", "europe-west1", regionName},
	} {
		if value := s.text(need.key); !need.form.MatchString(value) {
			good = false
			f := fault("stack", "%s: %q is not %s", need.key, value, need.what)
			if s.name != "" { // else it came from a flag
				f = f.by(fmt.Sprintf("pulumi config set %s %s%s", need.key, need.example, s.option()))
			}
			findings = append(findings, f)
		}
	}
	return findings, good
}

// option names the stack on a pulumi command line.
func (s stack) option() string {
	if s.name == "" {
		return ""
	}
	return " --stack " + shellQuoted(s.name)
}
