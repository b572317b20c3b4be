package apis

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// agents are the service agents that there are: Google's own accounts, with which its
// services act in a project. Some come with the project; others are made when their
// service first needs them, or is asked for them. Until then no policy may name them.
// No directory has them.
type agents struct {
	mu   sync.Mutex
	made map[string]bool // by e-mail
}

func (a *agents) make(email string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made[email] = true
}

// has tells whether a policy member is a service agent.
func (a *agents) has(member string) bool {
	email, ok := strings.CutPrefix(member, "serviceAccount:")
	a.mu.Lock()
	defer a.mu.Unlock()
	return ok && a.made[email]
}

// among tells whether email is a service agent, and among the members of a binding.
func (a *agents) among(members []string, email string) bool {
	member := "serviceAccount:" + email
	return a.has(member) && slices.Contains(members, member)
}

func (p project) agent(domain string) string {
	return fmt.Sprintf("service-%d@%s.iam.gserviceaccount.com", p.number, domain)
}

// runAgent is the account with which Cloud Run pulls the project's images.
func (p project) runAgent() string { return p.agent("serverless-robot-prod") }

// loggingAgent is the account that writes what the project's sinks route
// elsewhere.
func (p project) loggingAgent() string { return p.agent("gcp-sa-logging") }

// registryAgent and secretsAgent are those with which images and secrets are
// encrypted.
func (p project) registryAgent() string { return p.agent("gcp-sa-artifactregistry") }
func (p project) secretsAgent() string  { return p.agent("gcp-sa-secretmanager") }

// storageAgent is the account of Cloud Storage, which is asked for it itself.
func (p project) storageAgent() string { return p.agent("gs-project-accounts") }

// agentsOf are the agents that Service Usage makes, by the API that they serve, after
// https://cloud.google.com/iam/docs/service-agents.
var agentsOf = map[string]func(project) string{
	registryAPI: project.registryAgent,
	runAPI:      project.runAgent,
	secretsAPI:  project.secretsAgent,
}

// serviceIdentities is the method of Service Usage v1beta1 that makes service agents.
type serviceIdentities struct {
	projects *projects
	usage    *serviceUsage
}

func (i *serviceIdentities) routes() []restRoute {
	return []restRoute{{http.MethodPost, "v1beta1/projects/*/services/*", "generateServiceIdentity", i.generate}}
}

// admit lets everybody ask: it takes no permission.
func (i *serviceIdentities) admit(*http.Request) error { return nil }

func (i *serviceIdentities) generate(c restCall) (any, error) {
	on, api, err := i.usage.parse(fmt.Sprintf("projects/%s/services/%s", c.names[0], c.names[1]))
	if err != nil {
		return nil, err
	}
	agent, ok := agentsOf[api]
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "the local cloud knows no service agent of %s", api)
	}
	i.projects.agents.make(agent(on))
	return done("google.api.serviceusage.v1beta1.ServiceIdentity", map[string]string{"email": agent(on)})
}
