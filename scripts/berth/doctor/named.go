package doctor

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	artifactregistry "google.golang.org/api/artifactregistry/v1"
	"google.golang.org/api/cloudkms/v1"
	"google.golang.org/api/secretmanager/v1"
)

// kind is one of the kinds of things that a stack names and does not own: they are there
// already, maybe in another project, and may be granted each on its own.
type kind struct {
	check       string
	to          string // what the permissions are for
	permissions []string
	role        string // a predefined one that has them
	// held gives those of the permissions that the caller has.
	held func(ctx context.Context, g *google, name string, permissions []string) ([]string, error)
}

var (
	repository = kind{"repository", "push images to it", verbs("artifactregistry.repositories.", "downloadArtifacts", "uploadArtifacts"), "roles/artifactregistry.writer",
		func(ctx context.Context, g *google, name string, permissions []string) ([]string, error) {
			answer, err := g.repositories.Projects.Locations.Repositories.TestIamPermissions(name,
				&artifactregistry.TestIamPermissionsRequest{Permissions: permissions}).Context(ctx).Do()
			if err != nil {
				return nil, err
			}
			return answer.Permissions, nil
		}}
	secret = kind{"secret", "say who may read it", verbs("secretmanager.secrets.", "getIamPolicy", "setIamPolicy"), "roles/secretmanager.admin",
		func(ctx context.Context, g *google, name string, permissions []string) ([]string, error) {
			answer, err := g.secrets.Projects.Secrets.TestIamPermissions(name,
				&secretmanager.TestIamPermissionsRequest{Permissions: permissions}).Context(ctx).Do()
			if err != nil {
				return nil, err
			}
			return answer.Permissions, nil
		}}
	key = kind{"key", "say who may use it", verbs("cloudkms.cryptoKeys.", "getIamPolicy", "setIamPolicy"), "roles/cloudkms.admin",
		func(ctx context.Context, g *google, name string, permissions []string) ([]string, error) {
			answer, err := g.keys.Projects.Locations.KeyRings.CryptoKeys.TestIamPermissions(name,
				&cloudkms.TestIamPermissionsRequest{Permissions: permissions}).Context(ctx).Do()
			if err != nil {
				return nil, err
			}
			return answer.Permissions, nil
		}}
)

// named is one such thing.
type named struct {
	kind
	name  string // projects/P/…
	grant string // the command that grants a role on it, up to the member
	list  string // the command that lists those that there are
}

var (
	repositoryName = regexp.MustCompile(`^projects/([^/]+)/locations/([^/]+)/repositories/([^/]+)$`)
	keyName        = regexp.MustCompile(`^projects/([^/]+)/locations/([^/]+)/keyRings/([^/]+)/cryptoKeys/([^/]+)$`)
	secretName     = regexp.MustCompile(`^projects/([^/]+)/secrets/([^/]+)$`)
)

// named are all such things of the stack, each once. What has not the form of a name is
// left to Pulumi, which says so.
func (s stack) named() []named {
	var all []named
	if at := repositoryName.FindStringSubmatch(s.text("berth:repository")); at != nil && client(s) && !s.has("berth:image") {
		all = append(all, named{repository, at[0],
			fmt.Sprintf("gcloud artifacts repositories add-iam-policy-binding %s --location=%s --project=%s", at[3], at[2], at[1]),
			fmt.Sprintf("gcloud artifacts repositories list --location=%s --project=%s", at[2], at[1])})
	}
	for _, one := range s.existingSecrets() {
		at := secretName.FindStringSubmatch(one.name)
		all = append(all, named{secret, at[0],
			fmt.Sprintf("gcloud secrets add-iam-policy-binding %s --project=%s", at[2], at[1]),
			fmt.Sprintf("gcloud secrets list --project=%s", at[1])})
	}
	for _, name := range s.keys() {
		at := keyName.FindStringSubmatch(name)
		all = append(all, named{key, at[0],
			fmt.Sprintf("gcloud kms keys add-iam-policy-binding %s --keyring=%s --location=%s --project=%s", at[4], at[3], at[2], at[1]),
			fmt.Sprintf("gcloud kms keys list --keyring=%s --location=%s --project=%s", at[3], at[2], at[1])})
	}
	slices.SortStableFunc(all, func(a, b named) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(all, func(a, b named) bool { return a.name == b.name })
}

// existingSecret is a version of a secret that the stack does not own.
type existingSecret struct{ name, version string }

func (s stack) existingSecrets() []existingSecret {
	if !client(s) {
		return nil
	}
	settings, _ := s.settings["berth:secrets"].(map[string]any)
	var all []existingSecret
	for _, variable := range slices.Sorted(maps.Keys(settings)) {
		fields, _ := settings[variable].(map[string]any)
		name, _ := fields["secret"].(string)
		if name != "" && !strings.Contains(name, "/") {
			name = "projects/" + s.project() + "/secrets/" + name
		}
		if secretName.MatchString(name) {
			all = append(all, existingSecret{name, fmt.Sprint(fields["version"])})
		}
	}
	return all
}

// keys are those that a project stack lets Google's services use.
func (s stack) keys() []string {
	if !s.isProject() {
		return nil
	}
	settings, _ := s.settings["berth:encryptionKeys"].([]any)
	var all []string
	for _, setting := range settings {
		fields, _ := setting.(map[string]any)
		if name, _ := fields["key"].(string); keyName.MatchString(name) {
			all = append(all, name)
		}
	}
	return all
}

// namedAreUsable asks of each of them whether it is there and the login may do with it
// what the stack does.
func namedAreUsable(ctx context.Context, s stack, g *google) []finding {
	var findings []finding
	for _, n := range s.named() {
		held, err := n.held(ctx, g, n.name, n.permissions)
		missing := slices.DeleteFunc(slices.Clone(n.permissions), func(p string) bool { return slices.Contains(held, p) })
		command := fmt.Sprintf("%s --member=%s --role=%s", n.grant, shellQuoted(g.member()), n.role)
		switch {
		case isStatus(err, http.StatusNotFound):
			findings = append(findings, fault(n.check, "there is no %s: correct its name in the stack's file, or make it", n.name).by(n.list))
		case err != nil:
			findings = append(findings, g.unanswered(n.check, n.name, err))
		case len(missing) > 0:
			findings = append(findings, fault(n.check, "this login may not %s: on %s it lacks %s", n.to, n.name, strings.Join(missing, ", ")).by(command))
		default:
			findings = append(findings, fine(n.check, "the login may %s: %s", n.to, n.name))
		}
	}
	for _, one := range s.existingSecrets() {
		findings = append(findings, g.versionIsThere(ctx, one)...)
	}
	return findings
}

// versionIsThere looks at what the server would read. Whoever may not look at it is
// told nothing: the server's account is another.
func (g *google) versionIsThere(ctx context.Context, one existingSecret) []finding {
	at := secretName.FindStringSubmatch(one.name)
	found, err := g.secrets.Projects.Secrets.Versions.Get(one.name + "/versions/" + one.version).Context(ctx).Do()
	switch {
	case isStatus(err, http.StatusNotFound):
		return []finding{fault("secret", "%s has no version %s", one.name, one.version).
			by(fmt.Sprintf("gcloud secrets versions list %s --project=%s", at[2], at[1]))}
	case err == nil && found.State != "ENABLED":
		return []finding{fault("secret", "version %s of %s is %s, and the server would not start", one.version, one.name, strings.ToLower(found.State)).
			by(fmt.Sprintf("gcloud secrets versions enable %s --secret=%s --project=%s", one.version, at[2], at[1]))}
	}
	return nil
}
