package apis

import (
	"fmt"
	"strconv"
)

// project is a Google project. Projects are given and never change.
type project struct {
	id     string
	number int64
}

// computeAccount is what a service runs as that names no account of its own.
func (p project) computeAccount() string {
	return fmt.Sprintf("%d-compute@developer.gserviceaccount.com", p.number)
}

type projects struct {
	byKey  map[string]project
	agents agents
}

func newProjects(numbers map[string]int64) *projects {
	p := &projects{byKey: map[string]project{}, agents: agents{made: map[string]bool{}}}
	for id, number := range numbers {
		one := project{id: id, number: number}
		p.agents.make(one.runAgent())
		p.agents.make(one.computeAccount())
		p.agents.make(one.loggingAgent())
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
