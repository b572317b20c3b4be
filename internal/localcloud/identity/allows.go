package identity

import (
	"strings"

	"github.com/berth-mcp/berth/internal/ascii"
)

// The special members of an IAM policy.
const (
	allUsers              = "allUsers"
	allAuthenticatedUsers = "allAuthenticatedUsers"
)

// Allows reports whether email is among the members of an IAM binding
// (user:a, group:b, serviceAccount:c, domain:d, allUsers,
// allAuthenticatedUsers) now. Groups are expanded however deep they nest.
// An identity that is not, or no longer, in the directory is nobody: only
// allUsers covers it. A member that it does not know, such as deleted:…,
// covers nobody.
func (d *Directory) Allows(members []string, email string) bool {
	email = ascii.Lower(email)
	d.mu.RLock()
	defer d.mu.RUnlock()
	k, known := d.kinds[email]
	known = known && k != group // a group cannot call
	for _, member := range members {
		if member == allUsers || known && d.covers(member, k, email) {
			return true
		}
	}
	return false
}

// covers reports whether one binding member covers an identity that exists.
// The caller holds mu.
func (d *Directory) covers(member string, k kind, email string) bool {
	if member == allAuthenticatedUsers {
		return true
	}
	prefix, value, ok := strings.Cut(member, ":")
	if !ok {
		return false
	}
	value = ascii.Lower(value)
	switch prefix {
	case string(person), string(serviceAccount):
		return prefix == string(k) && value == email
	case "domain":
		return k == person && strings.HasSuffix(email, "@"+value)
	case string(group):
		return d.contains(value, email)
	}
	return false
}

// contains walks a group and the groups in it. Groups may contain each other.
// The caller holds mu.
func (d *Directory) contains(groupEmail, email string) bool {
	seen := map[string]bool{groupEmail: true}
	for todo := []string{groupEmail}; len(todo) > 0; todo = todo[1:] {
		if d.isMember(todo[0], email) {
			return true
		}
		for member := range d.groups[todo[0]] {
			if d.kinds[member] == group && !seen[member] && d.isMember(todo[0], member) {
				seen[member] = true
				todo = append(todo, member)
			}
		}
	}
	return false
}
