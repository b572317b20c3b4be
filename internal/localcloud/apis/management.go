package apis

import (
	"slices"
)

// management is what administers a project and its people, around the services.
type management struct {
	manager  *resourceManager
	identity *cloudIdentity
}

func newManagement(o Options, projects *projects, usage *serviceUsage, accounts *accounts) *management {
	return &management{
		manager: &resourceManager{projects: projects, created: o.Now().UTC()},
		identity: &cloudIdentity{projects: projects, usage: usage, accounts: accounts, groups: &groups{
			directory: o.Groups, memberExists: o.MemberExists, customer: "customers/" + o.Customer, domains: domainsOf(o.Owners),
			clock: o.Now, byEmail: map[string]*group{},
		}},
	}
}

// restOnly are those of its APIs that have no protos.
func (m *management) restOnly() []restOnly { return []restOnly{m.manager, m.identity} }

func (m *management) inventory() []string {
	return slices.Concat(m.identity.groups.inventory())
}
