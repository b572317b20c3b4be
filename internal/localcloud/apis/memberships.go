package apis

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/api/cloudidentity/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/berth-mcp/berth/internal/ascii"
)

// The roles in a group. Everybody in it is a MEMBER; the others come on top.
const (
	memberRole  = "MEMBER"
	managerRole = "MANAGER"
	ownerRole   = "OWNER"
)

// membership is somebody's place in a group.
type membership struct {
	state *cloudidentity.Membership // replaced, never changed
	made  bool                      // by this API, so that the inventory has it
}

// learnMembers takes over who is in a group; in.mu is held.
func (g *group) learnMembers(in *groups, email string) {
	current, err := in.directory.Members(email)
	if err != nil {
		current = nil // the group went a moment ago
	}
	maps.DeleteFunc(g.members, func(member string, _ *membership) bool { return !slices.Contains(current, member) })
	for _, member := range current {
		if g.members[member] == nil {
			// A number that cannot be drawn leaves the membership for the next time.
			_, _ = in.record(g, member, []*cloudidentity.MembershipRole{{Name: memberRole}})
		}
	}
}

// record gives a membership its name; g.mu is held.
func (g *groups) record(of *group, member string, roles []*cloudidentity.MembershipRole) (*membership, error) {
	number, err := newAccountNumber()
	if err != nil {
		return nil, err
	}
	now := g.now()
	made := &membership{state: &cloudidentity.Membership{
		Name: of.state.Name + "/memberships/" + number, PreferredMemberKey: &cloudidentity.EntityKey{Id: member},
		Roles: roles, Type: g.memberType(member), CreateTime: now, UpdateTime: now,
	}}
	of.members[member] = made
	return made, nil
}

// memberTypes are Cloud Identity's words for the prefixes of IAM members.
var memberTypes = map[string]string{"user": "USER", "group": "GROUP", "serviceAccount": "SERVICE_ACCOUNT"}

func (g *groups) memberType(email string) string {
	for prefix, word := range memberTypes {
		if g.memberExists(prefix + ":" + email) {
			return word
		}
	}
	return "OTHER"
}

// join puts somebody into a group; g.mu is held.
func (g *groups) join(found *group, member string, roles []*cloudidentity.MembershipRole) (*membership, error) {
	email := found.state.GroupKey.Id
	if found.members[member] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Error(4003): Cannot create membership %s in group %s because it already exists.", member, email)
	}
	end, err := g.checkRoles("CreateMembershipRequest", "membership.roles", roles)
	if err != nil {
		return nil, err
	}
	if err := g.directory.AddMemberUntil(email, member, end); err != nil {
		return nil, status.Errorf(codes.NotFound, "Error(2018): Resource not found: member %s of group %s: %v", member, email, err)
	}
	return g.record(found, member, roles)
}

// checkRoles gives the end of a membership with these roles, if it has one.
func (g *groups) checkRoles(request, field string, roles []*cloudidentity.MembershipRole) (end time.Time, err error) {
	v := violations{request: request}
	seen := map[string]bool{}
	for _, role := range roles {
		switch {
		case role.Name != memberRole && role.Name != managerRole && role.Name != ownerRole:
			v.add(field, "%q is not a role in a group; there are OWNER, MANAGER and MEMBER", role.Name)
		case seen[role.Name]:
			v.add(field, "%s is given twice", role.Name)
		}
		seen[role.Name] = true
		if role.ExpiryDetail == nil || role.ExpiryDetail.ExpireTime == "" {
			continue
		}
		when, err := time.Parse(time.RFC3339Nano, role.ExpiryDetail.ExpireTime)
		switch {
		case role.Name != memberRole:
			v.add(field, "%s cannot expire; MEMBER alone can", role.Name)
		case err != nil:
			v.add(field, "expireTime %q is not a time such as 2030-01-31T12:00:00Z", role.ExpiryDetail.ExpireTime)
		case !when.After(g.clock()):
			v.add(field, "expireTime %s is over; it must be in the future", role.ExpiryDetail.ExpireTime)
		default:
			end = when
		}
	}
	if !seen[memberRole] {
		v.add(field, "MEMBER is required, also beside OWNER and MANAGER")
	}
	if !end.IsZero() && len(roles) > 1 {
		v.add(field, "A membership that expires has no role but MEMBER")
	}
	return end, v.err()
}

func (g *groups) addMembership(c restCall) (any, error) {
	wanted := &cloudidentity.Membership{}
	if err := c.decode(wanted); err != nil {
		return nil, err
	}
	if wanted.PreferredMemberKey == nil || wanted.PreferredMemberKey.Id == "" {
		return nil, status.Error(codes.InvalidArgument, "membership.preferredMemberKey.id is required: the member's e-mail address.")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	found, err := g.find(c.names[0])
	if err != nil {
		return nil, err
	}
	member := ascii.Lower(wanted.PreferredMemberKey.Id)
	if member == found.state.GroupKey.Id {
		return nil, status.Errorf(codes.InvalidArgument, "Error(4002): group %s cannot be a member of itself.", member)
	}
	made, err := g.join(found, member, wanted.Roles)
	if err != nil {
		return nil, err
	}
	made.made = true
	return done("google.apps.cloudidentity.groups.v1.Membership", made.state)
}

// findMembership looks a membership up by the ids in a call; g.mu is held.
func (g *groups) findMembership(c restCall) (*group, *membership, error) {
	found, err := g.find(c.names[0])
	if err != nil {
		return nil, nil, err
	}
	name := found.state.Name + "/memberships/" + c.names[1]
	for _, m := range found.members {
		if m.state.Name == name {
			return found, m, nil
		}
	}
	return nil, nil, notPermitted(name)
}

func (g *groups) getMembership(c restCall) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, m, err := g.findMembership(c)
	if err != nil {
		return nil, err
	}
	return m.state, nil
}

func (g *groups) listMemberships(c restCall) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	found, err := g.find(c.names[0])
	if err != nil {
		return nil, err
	}
	all := []*cloudidentity.Membership{}
	for _, m := range found.members {
		all = append(all, m.state)
	}
	return listed(c, "memberships", all, func(m *cloudidentity.Membership) string { return m.Name })
}

func (g *groups) lookupMembership(c restCall) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	found, err := g.find(c.names[0])
	if err != nil {
		return nil, err
	}
	member := ascii.Lower(c.query.Get("memberKey.id"))
	if m := found.members[member]; m != nil {
		return map[string]string{"name": m.state.Name}, nil
	}
	return nil, notPermitted(found.state.Name + "/memberships/" + member)
}

func (g *groups) removeMembership(c restCall) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	found, m, err := g.findMembership(c)
	if err != nil {
		return nil, err
	}
	member := m.state.PreferredMemberKey.Id
	if err := g.directory.RemoveMember(found.state.GroupKey.Id, member); err != nil {
		return nil, status.Errorf(codes.Aborted, "Membership %s is being deleted: %v", m.state.Name, err)
	}
	delete(found.members, member)
	return done("google.protobuf.Empty", struct{}{})
}

// modifyRoles adds and removes roles, or changes when they end: never both.
func (g *groups) modifyRoles(c restCall) (any, error) {
	wanted := &cloudidentity.ModifyMembershipRolesRequest{}
	if err := c.decode(wanted); err != nil {
		return nil, err
	}
	if len(wanted.UpdateRolesParams) > 0 && len(wanted.AddRoles)+len(wanted.RemoveRoles) > 0 {
		return nil, status.Error(codes.InvalidArgument, "updateRolesParams cannot be set together with addRoles or removeRoles.")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	found, m, err := g.findMembership(c)
	if err != nil {
		return nil, err
	}
	roles, err := modified(m.state.Roles, wanted)
	if err != nil {
		return nil, err
	}
	end, err := g.checkRoles("ModifyMembershipRolesRequest", "roles", roles)
	if err != nil {
		return nil, err
	}
	member := m.state.PreferredMemberKey.Id
	if err := g.directory.AddMemberUntil(found.state.GroupKey.Id, member, end); err != nil {
		return nil, status.Errorf(codes.NotFound, "Error(2018): Resource not found: member %s: %v", member, err)
	}
	next := *m.state
	next.Roles, next.UpdateTime = roles, g.now()
	m.state = &next
	return &cloudidentity.ModifyMembershipRolesResponse{Membership: m.state}, nil
}

func modified(roles []*cloudidentity.MembershipRole, by *cloudidentity.ModifyMembershipRolesRequest) ([]*cloudidentity.MembershipRole, error) {
	named := func(name string) func(*cloudidentity.MembershipRole) bool {
		return func(r *cloudidentity.MembershipRole) bool { return r.Name == name }
	}
	next := slices.Clone(roles)
	for _, name := range by.RemoveRoles {
		if name == memberRole {
			return nil, status.Error(codes.InvalidArgument, "removeRoles: MEMBER cannot be removed; delete the membership instead.")
		}
		next = slices.DeleteFunc(next, named(name))
	}
	next = append(next, by.AddRoles...)
	for _, update := range by.UpdateRolesParams {
		role := update.MembershipRole
		at := -1
		if role != nil {
			at = slices.IndexFunc(next, named(role.Name))
		}
		if at < 0 {
			return nil, status.Error(codes.InvalidArgument, "updateRolesParams: membershipRole must name a role that the member has.")
		}
		if path := update.FieldMask; path != "expiryDetail.expireTime" && path != "expiry_detail.expire_time" {
			return nil, status.Errorf(codes.InvalidArgument, "updateRolesParams: field_mask is %q; expiry_detail.expire_time alone can change.", path)
		}
		next[at] = role
	}
	return next, nil
}
