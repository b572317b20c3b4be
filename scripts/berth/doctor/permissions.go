package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	resourcemanager "google.golang.org/api/cloudresourcemanager/v1"
	"google.golang.org/api/iam/v1"
)

const (
	actAs     = "iam.serviceAccounts.actAs"
	actAsRole = "roles/iam.serviceAccountUser"
)

// need is something that a stack has, and what it takes in the project.
type need struct {
	of          func(stack) bool
	apis        []string // by their names without .googleapis.com
	to          string   // what the permissions are for
	role        string   // a predefined one that has them
	permissions []string
}

func every(stack) bool    { return true }
func client(s stack) bool { return !s.isProject() }
func ownRepository(s stack) bool {
	return client(s) && !s.has("berth:image") && !s.has("berth:repository")
}
func secrets(s stack) bool    { return client(s) && s.has("berth:secrets") }
func ownSecrets(s stack) bool { return client(s) && s.setsAny("berth:secrets", "value") }
func data(s stack) bool       { return client(s) && s.enabled("berth:data") }
func alerts(s stack) bool     { return client(s) && s.enabled("berth:monitoring") }
func group(s stack) bool      { return client(s) && s.sets("berth:group", "email") }
func budget(s stack) bool     { return s.isProject() && s.sets("berth:budget", "amount") }

// needs are the permissions of the calls that the gcp provider makes, after
// https://cloud.google.com/iam/docs/roles-permissions.
var needs = []need{
	{every, nil, "see the project", "roles/browser", []string{"resourcemanager.projects.get"}},
	{every, nil, "enable APIs", "roles/serviceusage.serviceUsageAdmin",
		[]string{"serviceusage.services.enable", "serviceusage.services.list"}},
	{client, []string{"iam"}, "manage the server's service account", "roles/iam.serviceAccountAdmin",
		verbs("iam.serviceAccounts.", "create", "delete", "get", "update")},
	{client, []string{"run"}, "manage the Cloud Run service and who may call it", "roles/run.admin",
		verbs("run.services.", "create", "delete", "get", "getIamPolicy", "setIamPolicy", "update")},
	{ownRepository, []string{"artifactregistry"}, "manage the image repository and push to it", "roles/artifactregistry.admin",
		verbs("artifactregistry.repositories.", "create", "delete", "get", "update", "uploadArtifacts")},
	{secrets, []string{"secretmanager"}, "", "", nil},
	{ownSecrets, nil, "manage secrets and who may read them", "roles/secretmanager.admin", slices.Concat(
		verbs("secretmanager.secrets.", "create", "delete", "get", "getIamPolicy", "setIamPolicy", "update"),
		verbs("secretmanager.versions.", "access", "add", "destroy", "get"))},
	// An owner of the project has the rest by the bucket's own policy, which does not
	// exist yet; anybody else has all of it by the role.
	{data, []string{"storage"}, "manage the bucket and who may read it", "roles/storage.admin",
		verbs("storage.buckets.", "create", "delete")},
	{alerts, []string{"logging"}, "manage log-based metrics", "roles/logging.configWriter",
		verbs("logging.logMetrics.", "create", "delete", "get", "update")},
	{alerts, []string{"monitoring"}, "manage alerts and the dashboard", "roles/monitoring.editor", slices.Concat(
		verbs("monitoring.alertPolicies.", "create", "delete", "get", "update"),
		verbs("monitoring.dashboards.", "create", "delete", "get", "update"))},
	// The right to manage a group is Cloud Identity's, and no project's.
	{group, []string{"cloudidentity"}, "", "", nil},

	{stack.isProject, []string{"artifactregistry"}, "manage the shared image repository and who may read it", "roles/artifactregistry.admin",
		verbs("artifactregistry.repositories.", "create", "delete", "get", "getIamPolicy", "setIamPolicy", "update")},
	{stack.isProject, nil, "configure audit logs, which are in the project's policy", "roles/resourcemanager.projectIamAdmin",
		verbs("resourcemanager.projects.", "getIamPolicy", "setIamPolicy")},
	{stack.isProject, []string{"logging"}, "manage the log bucket and its sink", "roles/logging.configWriter", slices.Concat(
		verbs("logging.buckets.", "create", "delete", "get", "update"),
		verbs("logging.sinks.", "create", "delete", "get", "update"))},
	{stack.isProject, []string{"monitoring"}, "manage notification channels", "roles/monitoring.notificationChannelEditor",
		verbs("monitoring.notificationChannels.", "create", "delete", "get", "update")},
}

func verbs(prefix string, names ...string) []string {
	var all []string
	for _, name := range names {
		all = append(all, prefix+name)
	}
	return all
}

// needs are those of the stack.
func (s stack) needs() []need {
	return slices.DeleteFunc(slices.Clone(needs), func(n need) bool { return !n.of(s) })
}

// permissionsAreHeld asks Google which of the needed permissions the caller has.
func permissionsAreHeld(ctx context.Context, s stack, g *google) []finding {
	wanted := []string{}
	if !s.isProject() {
		wanted = append(wanted, actAs)
	}
	for _, n := range s.needs() {
		wanted = append(wanted, n.permissions...)
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	// One question: Google takes a hundred permissions.
	answer, err := g.projects.Projects.TestIamPermissions(s.project(), &resourcemanager.TestIamPermissionsRequest{
		Permissions: wanted,
	}).Context(ctx).Do()
	if err != nil {
		return []finding{g.unanswered("permissions", "the permissions", err).asFault()}
	}
	held := map[string]bool{}
	for _, permission := range answer.Permissions {
		held[permission] = true
	}
	var findings []finding
	for _, n := range s.needs() {
		missing := slices.DeleteFunc(slices.Clone(n.permissions), func(p string) bool { return held[p] })
		if len(missing) > 0 {
			findings = append(findings, fault("permissions", "this login may not %s: it lacks %s", n.to, strings.Join(missing, ", ")).
				by(grantCommand(s.project(), g.member(), n.role)))
		}
	}
	if len(findings) == 0 {
		findings = append(findings, fine("permissions", "all that the stack's resources need"))
	}
	if s.isProject() {
		return findings
	}
	return append(findings, mayActAs(ctx, s, g, held[actAs]))
}

// mayActAs looks at what it takes to run a service under an account: it may be held
// in the project, or on the account, once that exists.
func mayActAs(ctx context.Context, s stack, g *google, inProject bool) finding {
	if inProject {
		return fine("actAs", "the login may run services under the project's service accounts")
	}
	email := fmt.Sprintf("%s@%s.iam.gserviceaccount.com", s.service(), s.project())
	if s.name != "" {
		answer, err := g.accounts.Projects.ServiceAccounts.TestIamPermissions("projects/"+s.project()+"/serviceAccounts/"+email,
			&iam.TestIamPermissionsRequest{Permissions: []string{actAs}}).Context(ctx).Do()
		if err == nil && slices.Contains(answer.Permissions, actAs) {
			return fine("actAs", "the login may run services under %s", email)
		}
		if err != nil && !isStatus(err, http.StatusNotFound) && !isStatus(err, http.StatusForbidden) {
			return g.unanswered("actAs", "the service account", err)
		}
	}
	return fault("actAs", "the login may not run a service under the server's account (%s)", actAs).
		by(grantCommand(s.project(), g.member(), actAsRole))
}
