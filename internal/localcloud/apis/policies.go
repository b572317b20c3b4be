package apis

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// conditionVersion is the policy version that can hold conditions.
const conditionVersion = 3

// noPolicyEtag is what Google answers for a policy that was never set.
var noPolicyEtag = []byte{0x00, 0x10, 0x01}

// policies are the IAM policies of all resources, by the resource's name.
type policies struct {
	memberExists func(member string) bool
	// permitted tells whether the organization lets a policy name the member.
	permitted func(member string) bool
	allows    func(members []string, email string) bool

	mu     sync.Mutex
	byName map[string]*iampb.Policy // replaced, never changed
}

func newPolicies(memberExists, permitted func(string) bool, allows func([]string, string) bool) *policies {
	return &policies{memberExists: memberExists, permitted: permitted, allows: allows, byName: map[string]*iampb.Policy{}}
}

// get answers in the version that the caller asks for. One that is too old for
// conditions shows such a binding under a role that cannot be set.
func (p *policies) get(resource string, requested int32) (*iampb.Policy, error) {
	if !slices.Contains([]int32{0, 1, conditionVersion}, requested) {
		return nil, status.Errorf(codes.InvalidArgument, "Invalid policy version %d: options.requested_policy_version must be 0, 1 or 3.", requested)
	}
	shown := proto.CloneOf(p.current(resource))
	if requested == conditionVersion {
		return shown, nil
	}
	for i, b := range shown.GetBindings() {
		if b.GetCondition() != nil {
			b.Role = fmt.Sprintf("%s_withcond_%020d", b.GetRole(), i+1)
			b.Condition = nil
		}
	}
	if shown.GetVersion() == conditionVersion {
		shown.Version = 1
	}
	return shown, nil
}

func (p *policies) current(resource string) *iampb.Policy {
	p.mu.Lock()
	defer p.mu.Unlock()
	if policy := p.byName[resource]; policy != nil {
		return policy
	}
	return &iampb.Policy{Etag: noPolicyEtag}
}

// set replaces a policy. With an etag it does so only if nobody else did since
// that was read.
func (p *policies) set(resource string, req *iampb.SetIamPolicyRequest, roles []string) (*iampb.Policy, error) {
	wanted := req.GetPolicy()
	if wanted == nil {
		return nil, status.Error(codes.InvalidArgument, "The policy is missing: set policy, empty to remove every binding.")
	}
	if err := p.check(resource, wanted, roles); err != nil {
		return nil, err
	}
	next := &iampb.Policy{Version: 1, Bindings: normalized(wanted.GetBindings()), Etag: newEtagBytes()}
	if slices.ContainsFunc(next.GetBindings(), conditional) {
		next.Version = conditionVersion
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	have := noPolicyEtag
	old := p.byName[resource]
	if old != nil {
		have = old.GetEtag()
	}
	if given := wanted.GetEtag(); len(given) > 0 && !bytes.Equal(given, have) {
		return nil, status.Errorf(codes.Aborted,
			"There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff. The request's ETag '%s' did not match the current policy's ETag '%s'.",
			base64.StdEncoding.EncodeToString(given), base64.StdEncoding.EncodeToString(have))
	}
	// Audit logging is left as it is, unless the mask says otherwise.
	next.AuditConfigs = old.GetAuditConfigs()
	if slices.Contains(req.GetUpdateMask().GetPaths(), auditConfigsPath) {
		next.AuditConfigs = proto.CloneOf(wanted).GetAuditConfigs()
	}
	p.byName[resource] = next
	return proto.CloneOf(next), nil
}

// own gives a project the policy that it is made with: its owners have it.
func (p *policies) own(project string, owners []string) {
	members := lowerAll(owners)
	for i := range members {
		members[i] = "user:" + members[i]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byName[project] = &iampb.Policy{
		Version: 1, Etag: newEtagBytes(), Bindings: []*iampb.Binding{{Role: "roles/owner", Members: members}},
	}
}

func (p *policies) drop(resource string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byName, resource)
}

// members hold role on the resource without a condition.
func (p *policies) members(resource, role string) []string {
	var members []string
	for _, b := range p.current(resource).GetBindings() {
		if b.GetRole() == role && !conditional(b) {
			members = append(members, b.GetMembers()...)
		}
	}
	return members
}

// permits tells whether a role with the permission is granted to email on the
// resource, or on anything above it: a project, or the secret of a version.
// Conditions are not evaluated: what is granted under one is not granted.
func (p *policies) permits(email, permission, resource string) bool {
	for name := resource; ; name = path.Dir(name) {
		for _, b := range p.current(name).GetBindings() {
			if !conditional(b) && roleHolds(b.GetRole(), permission) && p.covers(b.GetMembers(), email) {
				return true
			}
		}
		if !strings.Contains(name, "/") {
			return false
		}
	}
}

// projectKinds are the members that stand for whoever has a basic role on a
// project. Only buckets have them.
var projectKinds = map[string]string{
	"projectOwner": "roles/owner", "projectEditor": "roles/editor", "projectViewer": "roles/viewer",
}

// covers tells whether email is among the members of a binding.
func (p *policies) covers(members []string, email string) bool {
	return p.allows(members, email) || slices.ContainsFunc(members, func(member string) bool {
		kind, project, _ := strings.Cut(member, ":")
		role, ok := projectKinds[kind]
		return ok && p.allows(p.members("projects/"+project, role), email)
	})
}

func conditional(b *iampb.Binding) bool { return b.GetCondition() != nil }

func (p *policies) check(resource string, policy *iampb.Policy, roles []string) error {
	v := violations{request: "SetIamPolicyRequest"}
	for i, b := range policy.GetBindings() {
		field := fmt.Sprintf("policy.bindings[%d]", i)
		if !slices.Contains(roles, b.GetRole()) {
			v.add(field+".role", "Role %s is not supported for this resource", b.GetRole())
		}
		if conditional(b) && policy.GetVersion() != conditionVersion {
			v.add(field+".condition", "A policy with conditions must have version %d, not %d", conditionVersion, policy.GetVersion())
		}
		for j, member := range b.GetMembers() {
			kind, _, _ := strings.Cut(member, ":")
			if projectKinds[kind] != "" && strings.HasPrefix(resource, bucketsName) {
				continue
			}
			if problem := p.memberProblem(member); problem != "" {
				v.add(fmt.Sprintf("%s.members[%d]", field, j), "%s", problem)
			}
		}
	}
	checkAuditConfigs(&v, policy.GetAuditConfigs())
	return v.err()
}

// memberKinds are what Google calls them when there is none of a name.
var memberKinds = map[string]string{
	"user": "User", "group": "Group", "serviceAccount": "Service account", "domain": "Domain",
}

func (p *policies) memberProblem(member string) string {
	if member == "allUsers" || member == "allAuthenticatedUsers" {
		if !p.permitted(member) {
			return fmt.Sprintf("One or more users named in the policy do not belong to a permitted customer: %s", member)
		}
		return ""
	}
	kind, name, _ := strings.Cut(member, ":")
	word, known := memberKinds[kind]
	switch {
	case !known:
		return fmt.Sprintf("The member %s is of an unknown type. Please set a valid type prefix for the member", member)
	case kind != "domain" && !strings.Contains(name, "@"), name == "":
		return fmt.Sprintf("Invalid member %s: expected %s:NAME@DOMAIN", member, kind)
	case kind != "domain" && !p.memberExists(member):
		return fmt.Sprintf("%s %s does not exist", word, name)
	case !p.permitted(member):
		return fmt.Sprintf("One or more users named in the policy do not belong to a permitted customer: %s", member)
	}
	return ""
}

// normalized merges the bindings of one role and condition, sorts members, and
// drops what grants nothing, as Google does.
func normalized(bindings []*iampb.Binding) []*iampb.Binding {
	var merged []*iampb.Binding
	for _, b := range bindings {
		at := slices.IndexFunc(merged, func(m *iampb.Binding) bool {
			return m.GetRole() == b.GetRole() && proto.Equal(m.GetCondition(), b.GetCondition())
		})
		if at < 0 {
			merged = append(merged, proto.CloneOf(b))
			continue
		}
		merged[at].Members = append(merged[at].Members, b.GetMembers()...)
	}
	for _, b := range merged {
		slices.Sort(b.Members)
		b.Members = slices.Compact(b.Members)
	}
	return slices.DeleteFunc(merged, func(b *iampb.Binding) bool { return len(b.GetMembers()) == 0 })
}

func newEtagBytes() []byte {
	etag := make([]byte, 8)
	rand.Read(etag)
	return etag
}
