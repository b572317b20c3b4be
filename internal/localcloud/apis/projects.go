package apis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// project is a Google project. Projects are given and never change.
type project struct {
	id     string
	number int64
}

// runAgent is the account with which Cloud Run pulls the project's images.
func (p project) runAgent() string {
	return fmt.Sprintf("service-%d@serverless-robot-prod.iam.gserviceaccount.com", p.number)
}

// loggingAgent is the account that writes what the project's sinks route
// elsewhere.
func (p project) loggingAgent() string {
	return fmt.Sprintf("service-%d@gcp-sa-logging.iam.gserviceaccount.com", p.number)
}

// agents are the accounts that Google makes with a project.
func (p project) agents() []string {
	all := []string{p.runAgent(), p.computeAccount(), p.loggingAgent()}
	for _, domain := range []string{"gcp-sa-artifactregistry.iam", "gcp-sa-secretmanager.iam", "gs-project-accounts.iam"} {
		all = append(all, fmt.Sprintf("service-%d@%s.gserviceaccount.com", p.number, domain))
	}
	return all
}

// computeAccount is what a service runs as that names no account of its own.
func (p project) computeAccount() string {
	return fmt.Sprintf("%d-compute@developer.gserviceaccount.com", p.number)
}

type projects struct{ byKey map[string]project }

func newProjects(numbers map[string]int64) *projects {
	p := &projects{byKey: map[string]project{}}
	for id, number := range numbers {
		one := project{id: id, number: number}
		p.byKey[id] = one
		p.byKey[strconv.FormatInt(number, 10)] = one
	}
	return p
}

// all gives each project once, in no order.
func (p *projects) all() []project {
	var all []project
	for key, one := range p.byKey {
		if key == one.id {
			all = append(all, one)
		}
	}
	return all
}

// find looks a project up by its id or its number.
func (p *projects) find(key string) (project, bool) {
	found, ok := p.byKey[key]
	return found, ok
}

// isAgentAmong tells whether email is one of Google's own accounts, and among
// the members of a binding. No directory has these.
func (p *projects) isAgentAmong(members []string, email string) bool {
	member := "serviceAccount:" + email
	return p.hasAgent(member) && slices.Contains(members, member)
}

// hasAgent tells whether a policy member is one of the accounts that Google
// makes with a project.
func (p *projects) hasAgent(member string) bool {
	email, ok := strings.CutPrefix(member, "serviceAccount:")
	if !ok {
		return false
	}
	for _, one := range p.byKey {
		if slices.Contains(one.agents(), email) {
			return true
		}
	}
	return false
}
