package apis

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/api/cloudidentity/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/berth-mcp/berth/internal/ascii"
)

// Bounds of a group, in characters, after
// https://cloud.google.com/identity/docs/reference/rest/v1/groups.
const maxGroupDescription = 4096

// Labels of a group. One of them says what kind of group it is.
const (
	discussionLabel = "cloudidentity.googleapis.com/groups.discussion_forum"
	securityLabel   = "cloudidentity.googleapis.com/groups.security"
	externalLabel   = "system/groups/external"
)

// Groups is the directory of people and their groups. It is where groups and
// members are; the API adds what only it tells of them.
type Groups interface {
	Groups() []string
	AddGroup(email string) error
	RemoveGroup(email string) error
	Members(group string) ([]string, error)
	// AddMemberUntil also moves the end of a membership; the zero time is none.
	AddMemberUntil(group, member string, end time.Time) error
	RemoveMember(group, member string) error
}

// groups are Cloud Identity's groups of one customer.
type groups struct {
	directory    Groups
	memberExists func(member string) bool
	customer     string   // customers/C…
	domains      []string // that the customer owns
	clock        clock

	mu      sync.Mutex
	byEmail map[string]*group
}

// group is what this API knows of a group, beside who is in it.
type group struct {
	state   *cloudidentity.Group // replaced, never changed
	made    bool                 // by this API, so that the inventory has it
	members map[string]*membership
}

// learn takes over what the directory has been told by others than this API;
// g.mu is held.
func (g *groups) learn() {
	current := g.directory.Groups()
	maps.DeleteFunc(g.byEmail, func(email string, _ *group) bool { return !slices.Contains(current, email) })
	for _, email := range current {
		if g.byEmail[email] == nil {
			g.add(email, &cloudidentity.Group{Parent: g.customer, Labels: map[string]string{discussionLabel: ""}})
		}
		g.byEmail[email].learnMembers(g, email)
	}
}

// add records a group under a new name; g.mu is held.
func (g *groups) add(email string, state *cloudidentity.Group) *group {
	now := g.now()
	state.Name = "groups/" + strings.ToLower(rand.Text()[:15])
	state.GroupKey = &cloudidentity.EntityKey{Id: email}
	state.AdditionalGroupKeys = []*cloudidentity.EntityKey{{Id: email}}
	state.CreateTime, state.UpdateTime = now, now
	g.byEmail[email] = &group{state: state, members: map[string]*membership{}}
	return g.byEmail[email]
}

func (g *groups) now() string { return g.clock().UTC().Format(time.RFC3339Nano) }

// find looks a group up by its id; g.mu is held. To Google, a group that is not
// there is one that the caller may not see.
func (g *groups) find(id string) (*group, error) {
	g.learn()
	for _, one := range g.byEmail {
		if one.state.Name == "groups/"+id {
			return one, nil
		}
	}
	return nil, notPermitted("groups/" + id)
}

func notPermitted(name string) error {
	return status.Errorf(codes.PermissionDenied, "Error(2028): Permission denied for resource %s (or it may not exist).", name)
}

func (g *groups) create(c restCall) (any, error) {
	wanted := &cloudidentity.Group{}
	if err := c.decode(wanted); err != nil {
		return nil, err
	}
	owned := false
	switch c.query.Get("initialGroupConfig") {
	case "WITH_INITIAL_OWNER":
		owned = true
	case "", "EMPTY", "INITIAL_GROUP_CONFIG_UNSPECIFIED":
	default:
		return nil, status.Errorf(codes.InvalidArgument, "initialGroupConfig is %q: it must be EMPTY or WITH_INITIAL_OWNER.", c.query.Get("initialGroupConfig"))
	}
	if err := g.check(wanted); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.learn()
	email := ascii.Lower(wanted.GroupKey.Id)
	if err := g.directory.AddGroup(email); err != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Error(2006): Entity already exists: %s", email)
	}
	made := g.add(email, &cloudidentity.Group{
		Parent: wanted.Parent, Labels: wanted.Labels, DisplayName: wanted.DisplayName, Description: wanted.Description,
	})
	made.made = true
	if owned {
		roles := []*cloudidentity.MembershipRole{{Name: memberRole}, {Name: ownerRole}}
		if _, err := g.join(made, callerOf(c.Context()).email, roles); err != nil {
			return nil, err
		}
	}
	return done("google.apps.cloudidentity.groups.v1.Group", made.state)
}

func (g *groups) check(wanted *cloudidentity.Group) error {
	v := violations{request: "CreateGroupRequest"}
	if wanted.Parent != g.customer {
		v.add("group.parent", "%q is not the customer that the caller belongs to, %s", wanted.Parent, g.customer)
	}
	key := wanted.GroupKey
	if key == nil {
		key = &cloudidentity.EntityKey{}
	}
	local, domain, _ := strings.Cut(ascii.Lower(key.Id), "@")
	if local == "" || !slices.Contains(g.domains, domain) {
		v.add("group.group_key.id", "%q is not an address in a domain of the customer: %s", key.Id, strings.Join(g.domains, ", "))
	}
	if key.Namespace != "" {
		v.add("group.group_key.namespace", "%q: a Google group has no namespace", key.Namespace)
	}
	checkGroup(&v, wanted)
	return v.err()
}

// checkGroup is about what may also change later.
func checkGroup(v *violations, wanted *cloudidentity.Group) {
	if n := len([]rune(wanted.Description)); n > maxGroupDescription {
		v.add("group.description", "%d characters are too many; the most is %d", n, maxGroupDescription)
	}
	if _, ok := wanted.Labels[discussionLabel]; !ok {
		v.add("group.labels", "The label %q is required, with an empty value", discussionLabel)
	}
	for _, key := range slices.Sorted(maps.Keys(wanted.Labels)) {
		switch {
		case key != discussionLabel && key != securityLabel && key != externalLabel:
			v.add("group.labels", "%q is not a label of groups", key)
		case wanted.Labels[key] != "":
			v.add("group.labels", "Label %q must have an empty value, not %q", key, wanted.Labels[key])
		}
	}
}

func (g *groups) get(c restCall) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	found, err := g.find(c.names[0])
	if err != nil {
		return nil, err
	}
	return found.state, nil
}

func (g *groups) lookup(c restCall) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.learn()
	email := ascii.Lower(c.query.Get("groupKey.id"))
	if found := g.byEmail[email]; found != nil {
		return map[string]string{"name": found.state.Name}, nil
	}
	return nil, notPermitted("groups/" + email)
}

func (g *groups) list(c restCall) (any, error) {
	if parent := c.query.Get("parent"); parent != g.customer {
		return nil, status.Errorf(codes.InvalidArgument, "parent is %q: it must be %s.", parent, g.customer)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.learn()
	all := []*cloudidentity.Group{}
	for _, one := range g.byEmail {
		all = append(all, one.state)
	}
	return listed(c, "groups", all, func(g *cloudidentity.Group) string { return g.Name })
}

func (g *groups) patch(c restCall) (any, error) {
	wanted := &cloudidentity.Group{}
	if err := c.decode(wanted); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	found, err := g.find(c.names[0])
	if err != nil {
		return nil, err
	}
	next := *found.state
	v := violations{request: "UpdateGroupRequest"}
	for field := range strings.SplitSeq(c.query.Get("updateMask"), ",") {
		switch field {
		case "displayName", "display_name":
			next.DisplayName = wanted.DisplayName
		case "description":
			next.Description = wanted.Description
		case "labels":
			next.Labels = wanted.Labels
		default:
			v.add("update_mask", "%q cannot be changed; display_name, description and labels can", field)
		}
	}
	checkGroup(&v, &next)
	_, was := found.state.Labels[securityLabel]
	if _, is := next.Labels[securityLabel]; was && !is {
		v.add("group.labels", "The label %q stays, once it is there", securityLabel)
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	next.UpdateTime = g.now()
	found.state = &next
	return done("google.apps.cloudidentity.groups.v1.Group", found.state)
}

func (g *groups) delete(c restCall) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	found, err := g.find(c.names[0])
	if err != nil {
		return nil, err
	}
	email := found.state.GroupKey.Id
	if err := g.directory.RemoveGroup(email); err != nil {
		return nil, status.Errorf(codes.Aborted, "Group %s is being deleted: %v", email, err)
	}
	delete(g.byEmail, email)
	return done("google.protobuf.Empty", struct{}{})
}

// inventory is what this API has made and not deleted.
func (g *groups) inventory() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.learn()
	var names []string
	for _, one := range g.byEmail {
		if one.made {
			names = append(names, "//cloudidentity.googleapis.com/"+one.state.Name)
		}
		for _, m := range one.members {
			if m.made {
				names = append(names, "//cloudidentity.googleapis.com/"+m.state.Name)
			}
		}
	}
	return names
}
