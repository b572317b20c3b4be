package guard

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Role is what a caller may do. Each role may do what the ones below it may.
type Role int

// The roles, from the lowest.
const (
	None        Role = iota // nothing
	Viewer                  // read what everyone in the project may read
	Contributor             // and change what is theirs, and propose
	Manager                 // and change everything, and read what is confidential
	Admin                   // and what concerns the server itself, such as import
)

var roleNames = []string{"none", "viewer", "contributor", "manager", "admin"}

func (r Role) String() string {
	if r < None || r > Admin {
		return fmt.Sprintf("Role(%d)", int(r))
	}
	return roleNames[r]
}

// UnmarshalText reads the name of a role.
func (r *Role) UnmarshalText(text []byte) error {
	i := slices.Index(roleNames, string(text))
	if i < 0 {
		return fmt.Errorf("%q is no role: use one of %s", text, strings.Join(roleNames, ", "))
	}
	*r = Role(i)
	return nil
}

// MarshalText writes the name of the role.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

type roleKey struct{}

// NewContext returns a context in which the caller has the role.
func NewContext(ctx context.Context, role Role) context.Context {
	return context.WithValue(ctx, roleKey{}, role)
}

// RoleFrom is the caller's role: None for a request that did not pass a guard.
func RoleFrom(ctx context.Context) Role {
	role, _ := ctx.Value(roleKey{}).(Role)
	return role
}
