// Package identity is the identity provider of the local cloud: people,
// groups (nested), service accounts, their logins, and the token endpoint and
// signing keys that a relying party needs.
//
// It answers who somebody is and which groups they are in. It must not know
// of services, policies or requests: whether a caller may do a thing is the
// business of those who own the thing.
//
// All state is in memory and gone with the Directory.
package identity

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/berth-mcp/berth/internal/ascii"
)

// Errors that callers tell apart with errors.Is.
var (
	ErrExists       = errors.New("already exists")
	ErrNotFound     = errors.New("does not exist")
	ErrInvalidToken = errors.New("invalid token")
)

// defaultTokenLifetime is that of Google's ID and access tokens.
const defaultTokenLifetime = time.Hour

// Options configure a Directory.
type Options struct {
	// Issuer is the URL at which Handler is served, such as
	// http://127.0.0.1:4001, and the `iss` of every ID token. Required. Its
	// host must be a loopback address: clients send tokens of a loopback
	// issuer to loopback only, so that none can leave the machine.
	Issuer string
	// TokenLifetime of ID and access tokens; 0 is one hour, as Google's.
	TokenLifetime time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Directory holds identities and issues their tokens. It is safe for
// concurrent use.
type Directory struct {
	issuer   string
	lifetime time.Duration
	now      func() time.Time
	signer   jose.Signer
	keys     jose.JSONWebKeySet
	verifier *oidc.IDTokenVerifier
	// clientSecret authenticates the one OAuth client, the counterpart of
	// gcloud's.
	clientSecret string

	mu           sync.RWMutex
	kinds        map[string]kind    // by e-mail
	groups       map[string]members // by group e-mail
	logins       map[string]login   // by refresh token
	accessTokens map[string]accessToken
}

// members are a group's direct members, each with the end of its membership;
// the zero time is none.
type members map[string]time.Time

// kind tells identities apart. Its values are the prefixes of IAM members.
type kind string

const (
	person         kind = "user"
	group          kind = "group"
	serviceAccount kind = "serviceAccount"
)

// New returns an empty Directory with a signing key of its own.
func New(o Options) (*Directory, error) {
	if err := checkIssuer(o.Issuer); err != nil {
		return nil, err
	}
	if o.TokenLifetime < 0 {
		return nil, fmt.Errorf("identity: TokenLifetime is %v: give a positive duration, or 0 for %v", o.TokenLifetime, defaultTokenLifetime)
	}
	d := &Directory{
		issuer:       o.Issuer,
		lifetime:     cmp.Or(o.TokenLifetime, defaultTokenLifetime),
		now:          o.Now,
		clientSecret: rand.Text(),
		kinds:        map[string]kind{},
		groups:       map[string]members{},
		logins:       map[string]login{},
		accessTokens: map[string]accessToken{},
	}
	if d.now == nil {
		d.now = time.Now
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("identity: generating the signing key: %w", err)
	}
	if err := d.useKey(key); err != nil {
		return nil, fmt.Errorf("identity: preparing the signing key: %w", err)
	}
	return d, nil
}

func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "http" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("identity: Issuer is %q: give the origin at which the handler is served, such as http://127.0.0.1:4001", issuer)
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("identity: Issuer is %q: its host must be a loopback address", issuer)
	}
	return nil
}

// AddPerson adds a person. ErrExists if the address is taken.
func (d *Directory) AddPerson(email string) error { return d.add(person, email) }

// AddGroup adds an empty group. ErrExists if the address is taken.
func (d *Directory) AddGroup(email string) error { return d.add(group, email) }

// AddServiceAccount adds a service account. ErrExists if the address is taken.
func (d *Directory) AddServiceAccount(email string) error { return d.add(serviceAccount, email) }

// RemovePerson removes a person from the directory and from every group, and
// ends their logins. ErrNotFound if there is none.
func (d *Directory) RemovePerson(email string) error { return d.remove(person, email) }

// RemoveGroup removes a group, and it from every other group. ErrNotFound if
// there is none.
func (d *Directory) RemoveGroup(email string) error { return d.remove(group, email) }

// RemoveServiceAccount removes a service account, also from every group, and
// its tokens. ErrNotFound if there is none.
func (d *Directory) RemoveServiceAccount(email string) error { return d.remove(serviceAccount, email) }

func (d *Directory) add(k kind, email string) error {
	email, err := normalize(email)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if taken, ok := d.kinds[email]; ok {
		return fmt.Errorf("adding %s:%s: %s:%s %w", k, email, taken, email, ErrExists)
	}
	d.kinds[email] = k
	if k == group {
		d.groups[email] = members{}
	}
	return nil
}

func (d *Directory) remove(k kind, email string) error {
	email, err := normalize(email)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kinds[email] != k {
		return fmt.Errorf("removing %s:%s: it %w", k, email, ErrNotFound)
	}
	delete(d.kinds, email)
	delete(d.groups, email)
	for _, members := range d.groups {
		delete(members, email)
	}
	d.revoke(email)
	return nil
}

// AddMember makes a person, a group or a service account a direct member of a
// group, for good. Adding a member twice changes nothing. ErrNotFound if either
// does not exist.
func (d *Directory) AddMember(groupEmail, member string) error {
	return d.AddMemberUntil(groupEmail, member, time.Time{})
}

// AddMemberUntil is AddMember, or moves the end of a membership. The zero time
// is none.
func (d *Directory) AddMemberUntil(groupEmail, member string, end time.Time) error {
	groupEmail, member, err := normalizePair(groupEmail, member)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	members, ok := d.groups[groupEmail]
	if !ok {
		return fmt.Errorf("adding %s to group %s: the group %w: add it first", member, groupEmail, ErrNotFound)
	}
	if _, ok := d.kinds[member]; !ok {
		return fmt.Errorf("adding %s to group %s: the member %w: add it as a person, group or service account first", member, groupEmail, ErrNotFound)
	}
	members[member] = end
	return nil
}

// RemoveMember ends a direct membership. ErrNotFound if there is none.
func (d *Directory) RemoveMember(groupEmail, member string) error {
	groupEmail, member, err := normalizePair(groupEmail, member)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isMember(groupEmail, member) {
		return fmt.Errorf("removing %s from group %s: the membership %w", member, groupEmail, ErrNotFound)
	}
	delete(d.groups[groupEmail], member)
	return nil
}

// Members returns the direct members of a group, sorted. ErrNotFound if there
// is no such group.
func (d *Directory) Members(groupEmail string) ([]string, error) {
	groupEmail, err := normalize(groupEmail)
	if err != nil {
		return nil, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	members, ok := d.groups[groupEmail]
	if !ok {
		return nil, fmt.Errorf("listing the members of group %s: it %w", groupEmail, ErrNotFound)
	}
	current := slices.DeleteFunc(slices.Collect(maps.Keys(members)), func(m string) bool { return !d.isMember(groupEmail, m) })
	slices.Sort(current)
	return current, nil
}

// Groups returns the e-mails of all groups, sorted.
func (d *Directory) Groups() []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Sorted(maps.Keys(d.groups))
}

// isMember reports whether a direct membership is there and not over. The
// caller holds mu.
func (d *Directory) isMember(groupEmail, member string) bool {
	end, ok := d.groups[groupEmail][member]
	return ok && (end.IsZero() || d.now().Before(end))
}

// Exists reports whether an IAM member such as user:a@example.com or
// group:g@example.com names an identity in the directory. The special members
// allUsers and allAuthenticatedUsers, and any domain, exist.
func (d *Directory) Exists(member string) bool {
	k, email, ok := strings.Cut(member, ":")
	if !ok {
		return member == allUsers || member == allAuthenticatedUsers
	}
	if k == "domain" {
		return true
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	have, ok := d.kinds[ascii.Lower(email)]
	return ok && string(have) == k
}
