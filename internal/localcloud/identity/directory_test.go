package identity_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/identity"
)

const issuer = "http://127.0.0.1:4001"

func newDirectory(t *testing.T) *identity.Directory {
	t.Helper()
	d, err := identity.New(identity.Options{Issuer: issuer})
	require.NoError(t, err)
	return d
}

// populated has ana in team, team in everyone, and a service account.
func populated(t *testing.T) *identity.Directory {
	t.Helper()
	d := newDirectory(t)
	require.NoError(t, d.AddPerson("Ana@Example.com"))
	require.NoError(t, d.AddPerson("bob@example.com"))
	require.NoError(t, d.AddServiceAccount("agent@p.iam.gserviceaccount.com"))
	require.NoError(t, d.AddGroup("team@example.com"))
	require.NoError(t, d.AddGroup("everyone@example.com"))
	require.NoError(t, d.AddMember("team@example.com", "ANA@example.com"))
	require.NoError(t, d.AddMember("everyone@example.com", "team@example.com"))
	return d
}

func TestNewRefusesAnIssuerThatIsNotALoopbackOrigin(t *testing.T) {
	for _, issuer := range []string{
		"", "127.0.0.1:80", "https://accounts.google.com", "http://accounts.google.com",
		"http://127.0.0.1:80/", "http://localhost.example.com", "http://u@127.0.0.1:80", "https://127.0.0.1:80",
	} {
		_, err := identity.New(identity.Options{Issuer: issuer})
		assert.ErrorContains(t, err, "Issuer", issuer)
	}
}

func TestAllows(t *testing.T) {
	d := populated(t)
	tests := []struct {
		name    string
		members []string
		email   string
		want    bool
	}{
		{"a person named by their address", []string{"user:ana@example.com"}, "ana@example.com", true},
		{"case does not matter", []string{"user:ANA@example.com"}, "Ana@EXAMPLE.com", true},
		{"another person is not covered", []string{"user:ana@example.com"}, "bob@example.com", false},
		{"a direct member of a group", []string{"group:team@example.com"}, "ana@example.com", true},
		{"a member of a nested group", []string{"group:everyone@example.com"}, "ana@example.com", true},
		{"nobody outside of the group", []string{"group:everyone@example.com"}, "bob@example.com", false},
		{"the second binding member counts too", []string{"user:bob@example.com", "group:Team@example.com"}, "ana@example.com", true},
		{"a group does not call", []string{"group:everyone@example.com"}, "team@example.com", false},
		{"a service account by its own prefix", []string{"serviceAccount:agent@p.iam.gserviceaccount.com"}, "agent@p.iam.gserviceaccount.com", true},
		{"a service account is not a user", []string{"user:agent@p.iam.gserviceaccount.com"}, "agent@p.iam.gserviceaccount.com", false},
		{"a domain covers its people", []string{"domain:example.com"}, "ana@example.com", true},
		{"a domain does not cover one that merely ends like it", []string{"domain:ample.com"}, "ana@example.com", false},
		{"a domain does not cover service accounts", []string{"domain:p.iam.gserviceaccount.com"}, "agent@p.iam.gserviceaccount.com", false},
		{"allAuthenticatedUsers covers a known identity", []string{"allAuthenticatedUsers"}, "bob@example.com", true},
		{"allAuthenticatedUsers does not cover a stranger", []string{"allAuthenticatedUsers"}, "eve@example.com", false},
		{"allUsers covers even nobody", []string{"allUsers"}, "", true},
		{"a stranger named in the policy is nobody", []string{"user:eve@example.com"}, "eve@example.com", false},
		{"a deleted member covers nobody", []string{"deleted:user:ana@example.com?uid=1"}, "ana@example.com", false},
		{"a group that does not exist covers nobody", []string{"group:gone@example.com"}, "ana@example.com", false},
		{"no members cover nobody", nil, "ana@example.com", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, d.Allows(tt.members, tt.email))
		})
	}
}

func TestDirectory_FoldsASCIIOnly(t *testing.T) {
	d := populated(t)
	require.NoError(t, d.AddPerson("kim@example.com"))
	const kelvin = "\u212Aim@example.com"
	assert.False(t, d.Allows([]string{"user:kim@example.com"}, kelvin))
	assert.False(t, d.Allows([]string{"user:" + kelvin}, "kim@example.com"))
	assert.False(t, d.Exists("user:"+kelvin))
	assert.ErrorContains(t, d.AddPerson(kelvin), "not an e-mail address")
	_, err := d.IDToken(kelvin, "https://acme.example")
	assert.ErrorContains(t, err, "not an e-mail address")
}

func TestAllowsFollowsMembershipAsItChanges(t *testing.T) {
	d := populated(t)
	everyone := []string{"group:everyone@example.com"}

	require.NoError(t, d.AddMember("everyone@example.com", "bob@example.com"))
	assert.True(t, d.Allows(everyone, "bob@example.com"), "added")
	require.NoError(t, d.RemoveMember("everyone@example.com", "bob@example.com"))
	assert.False(t, d.Allows(everyone, "bob@example.com"), "membership ended")

	require.NoError(t, d.RemovePerson("ana@example.com"))
	assert.False(t, d.Allows(everyone, "ana@example.com"), "person removed")
	require.NoError(t, d.AddPerson("ana@example.com"))
	assert.False(t, d.Allows(everyone, "ana@example.com"), "a new person of that address is in no group")

	require.NoError(t, d.AddMember("team@example.com", "ana@example.com"))
	require.NoError(t, d.RemoveGroup("team@example.com"))
	assert.False(t, d.Allows(everyone, "ana@example.com"), "group in between removed")
	require.NoError(t, d.AddGroup("team@example.com"))
	assert.False(t, d.Allows(everyone, "ana@example.com"), "a new group of that address is in no group")
}

func TestAllowsEndsWhenGroupsContainEachOther(t *testing.T) {
	d := populated(t)
	require.NoError(t, d.AddMember("team@example.com", "everyone@example.com"))
	require.NoError(t, d.AddMember("team@example.com", "team@example.com"))
	assert.True(t, d.Allows([]string{"group:team@example.com"}, "ana@example.com"))
	assert.False(t, d.Allows([]string{"group:team@example.com"}, "bob@example.com"))
}

func TestChangesThatCannotBeMadeAreRefused(t *testing.T) {
	d := populated(t)
	tests := []struct {
		name string
		err  error
		is   error
		says string
	}{
		{"a person twice", d.AddPerson("ana@example.com"), identity.ErrExists, "user:ana@example.com"},
		{"a group with a person's address", d.AddGroup("ana@example.com"), identity.ErrExists, "user:ana@example.com"},
		{"a member of no known kind", d.AddMember("team@example.com", "eve@example.com"), identity.ErrNotFound, "add it as a person"},
		{"a member of an unknown group", d.AddMember("gone@example.com", "ana@example.com"), identity.ErrNotFound, "gone@example.com"},
		{"a member of a person", d.AddMember("bob@example.com", "ana@example.com"), identity.ErrNotFound, "bob@example.com"},
		{"ending a membership that is none", d.RemoveMember("team@example.com", "bob@example.com"), identity.ErrNotFound, "membership"},
		{"removing a stranger", d.RemovePerson("eve@example.com"), identity.ErrNotFound, "eve@example.com"},
		{"removing a group as a person", d.RemovePerson("team@example.com"), identity.ErrNotFound, "team@example.com"},
		{"an address without a domain", d.AddPerson("ana"), nil, "not an e-mail address"},
		{"an address with a name", d.AddPerson("Ana <ana@example.com>"), nil, "not an e-mail address"},
		{"two bad addresses, both named", d.AddMember("one", "two"), nil, `"two" is not`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.ErrorContains(t, tt.err, tt.says)
			if tt.is != nil {
				assert.ErrorIs(t, tt.err, tt.is)
			}
		})
	}
}

func TestMembersAndExists(t *testing.T) {
	d := populated(t)
	require.NoError(t, d.AddMember("team@example.com", "agent@p.iam.gserviceaccount.com"))
	members, err := d.Members("TEAM@example.com")
	require.NoError(t, err)
	assert.Equal(t, []string{"agent@p.iam.gserviceaccount.com", "ana@example.com"}, members)
	_, err = d.Members("ana@example.com")
	require.ErrorIs(t, err, identity.ErrNotFound)

	for member, want := range map[string]bool{
		"user:Ana@example.com": true, "group:team@example.com": true, "serviceAccount:agent@p.iam.gserviceaccount.com": true,
		"allUsers": true, "allAuthenticatedUsers": true, "domain:example.com": true,
		"user:team@example.com": false, "group:gone@example.com": false, "ana@example.com": false, "deleted:user:ana@example.com": false,
	} {
		assert.Equal(t, want, d.Exists(member), member)
	}
}

func TestADirectoryServesManyAtOnce(t *testing.T) {
	d := populated(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			email := fmt.Sprintf("dev%d@example.com", i)
			for range 20 {
				assert.NoError(t, d.AddPerson(email))
				assert.NoError(t, d.AddMember("team@example.com", email))
				assert.True(t, d.Allows([]string{"group:everyone@example.com"}, email))
				token, err := d.AccessToken(email)
				assert.NoError(t, err)
				_, err = d.Authenticate(token)
				assert.NoError(t, err)
				d.Logout(email)
				assert.NoError(t, d.RemovePerson(email))
			}
		})
	}
	wg.Wait()
}
