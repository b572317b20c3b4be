package apis_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudidentity/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/berth-mcp/berth/internal/localcloud/apis"
	"github.com/berth-mcp/berth/internal/localcloud/identity"
)

const (
	ana        = "ana@example.com"
	bob        = "bob@example.com"
	developers = "developers@example.com"
	anyGroup   = "cloudidentity.googleapis.com/groups.discussion_forum"
)

// later is a clock that a test moves.
type later struct{ by atomic.Int64 }

func (l *later) now() time.Time          { return time.Now().Add(time.Duration(l.by.Load())) }
func (l *later) advance(d time.Duration) { l.by.Add(int64(d)) }

// newPeople is a cloud on a real directory with Ana and Bob in it, and Cloud
// Identity's official client.
func newPeople(t *testing.T) (*cloud, *identity.Directory, *cloudidentity.Service, *later) {
	t.Helper()
	clock := &later{}
	people, err := identity.New(identity.Options{Issuer: "http://127.0.0.1:1", Now: clock.now})
	require.NoError(t, err)
	require.NoError(t, people.AddPerson(ana))
	require.NoError(t, people.AddPerson(bob))
	c := newCloud(t, func(o *apis.Options) {
		o.Groups, o.MemberExists, o.Allows, o.Now = people, people.Exists, people.Allows, clock.now
	})
	c.enable(t, "cloudidentity.googleapis.com")
	client, err := cloudidentity.NewService(t.Context(), option.WithEndpoint(c.url),
		option.WithHTTPClient(&http.Client{Transport: billed{bearer("owner-token"), projectID}}))
	require.NoError(t, err)
	return c, people, client, clock
}

// billed names the project that pays, as clients do for a quota project.
type billed struct {
	http.RoundTripper
	project string
}

func (b billed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b.project != "" {
		r.Header.Set("X-Goog-User-Project", b.project)
	}
	return b.RoundTripper.RoundTrip(r)
}

func aGroup(email string) *cloudidentity.Group {
	return &cloudidentity.Group{
		Parent: "customers/C0123abcd", GroupKey: &cloudidentity.EntityKey{Id: email}, Labels: map[string]string{anyGroup: ""},
	}
}

func createGroup(t *testing.T, client *cloudidentity.Service, email string) string {
	t.Helper()
	operation, err := client.Groups.Create(aGroup(email)).InitialGroupConfig("EMPTY").Do()
	require.NoError(t, err)
	require.True(t, operation.Done)
	found, err := client.Groups.Lookup().GroupKeyId(email).Do()
	require.NoError(t, err)
	require.Contains(t, string(operation.Response), found.Name)
	return found.Name
}

func aMember(email string, roles ...string) *cloudidentity.Membership {
	m := &cloudidentity.Membership{PreferredMemberKey: &cloudidentity.EntityKey{Id: email}}
	for _, role := range roles {
		m.Roles = append(m.Roles, &cloudidentity.MembershipRole{Name: role})
	}
	return m
}

func TestAMembershipMadeThroughTheAPILetsThatPersonIn(t *testing.T) {
	c, people, client, _ := newPeople(t)
	group := createGroup(t, client, developers)
	members := []string{"group:" + developers}
	require.False(t, people.Allows(members, ana))

	_, err := client.Groups.Memberships.Create(group, aMember("Ana@Example.com", "MEMBER")).Do()
	require.NoError(t, err)
	assert.True(t, people.Allows(members, ana))
	assert.False(t, people.Allows(members, bob))
	found, err := client.Groups.Memberships.Lookup(group).MemberKeyId(ana).Do()
	require.NoError(t, err)
	read, err := client.Groups.Memberships.Get(found.Name).Do()
	require.NoError(t, err)
	assert.Equal(t, ana, read.PreferredMemberKey.Id)
	assert.Equal(t, "USER", read.Type)
	assert.Equal(t, []string{"//cloudidentity.googleapis.com/" + group, "//cloudidentity.googleapis.com/" + found.Name}, c.apis.Inventory())

	_, err = client.Groups.Memberships.Delete(found.Name).Do()
	require.NoError(t, err)
	assert.False(t, people.Allows(members, ana))
	_, err = client.Groups.Delete(group).Do()
	require.NoError(t, err)
	assert.False(t, people.Exists("group:"+developers))
	assert.Empty(t, c.apis.Inventory())
}

func TestTheDirectorysOwnGroupsAreSeenAndNotInTheInventory(t *testing.T) {
	c, people, client, _ := newPeople(t)
	require.NoError(t, people.AddGroup(developers))
	require.NoError(t, people.AddGroup("nested@example.com"))
	require.NoError(t, people.AddMember(developers, bob))
	require.NoError(t, people.AddMember(developers, "nested@example.com"))
	listed, err := client.Groups.List().Parent("customers/C0123abcd").Do()
	require.NoError(t, err)
	require.Len(t, listed.Groups, 2)
	found, err := client.Groups.Lookup().GroupKeyId(developers).Do()
	require.NoError(t, err)
	memberships, err := client.Groups.Memberships.List(found.Name).PageSize(1).Do()
	require.NoError(t, err)
	require.Len(t, memberships.Memberships, 1)
	rest, err := client.Groups.Memberships.List(found.Name).PageToken(memberships.NextPageToken).Do()
	require.NoError(t, err)
	require.Len(t, rest.Memberships, 1)
	assert.ElementsMatch(t, []string{"USER", "GROUP"}, []string{memberships.Memberships[0].Type, rest.Memberships[0].Type})
	assert.Empty(t, c.apis.Inventory())

	require.NoError(t, people.RemoveMember(developers, bob))
	require.NoError(t, people.RemoveGroup("nested@example.com"))
	memberships, err = client.Groups.Memberships.List(found.Name).Do()
	require.NoError(t, err)
	assert.Empty(t, memberships.Memberships)
}

func TestAGroupChangesInPlace(t *testing.T) {
	_, _, client, _ := newPeople(t)
	group := createGroup(t, client, developers)
	change := &cloudidentity.Group{DisplayName: "Developers", Labels: map[string]string{anyGroup: "", "cloudidentity.googleapis.com/groups.security": ""}}
	_, err := client.Groups.Patch(group, change).UpdateMask("displayName,labels").Do()
	require.NoError(t, err)
	read, err := client.Groups.Get(group).Do()
	require.NoError(t, err)
	assert.Equal(t, "Developers", read.DisplayName)
	assert.Len(t, read.Labels, 2)
	assert.Equal(t, developers, read.GroupKey.Id)

	_, err = client.Groups.Patch(group, aGroup(developers)).UpdateMask("labels,groupKey").Do()
	require.ErrorContains(t, err, "groups.security\" stays")
	require.ErrorContains(t, err, "groupKey")
}

func TestRolesComeAndGo(t *testing.T) {
	_, _, client, _ := newPeople(t)
	group := createGroup(t, client, developers)
	_, err := client.Groups.Memberships.Create(group, aMember(ana, "MEMBER", "OWNER")).Do()
	require.NoError(t, err)
	found, err := client.Groups.Memberships.Lookup(group).MemberKeyId(ana).Do()
	require.NoError(t, err)
	modified, err := client.Groups.Memberships.ModifyMembershipRoles(found.Name, &cloudidentity.ModifyMembershipRolesRequest{
		AddRoles: []*cloudidentity.MembershipRole{{Name: "MANAGER"}}, RemoveRoles: []string{"OWNER"},
	}).Do()
	require.NoError(t, err)
	var roles []string
	for _, role := range modified.Membership.Roles {
		roles = append(roles, role.Name)
	}
	assert.ElementsMatch(t, []string{"MEMBER", "MANAGER"}, roles)
	_, err = client.Groups.Memberships.ModifyMembershipRoles(found.Name, &cloudidentity.ModifyMembershipRolesRequest{RemoveRoles: []string{"MEMBER"}}).Do()
	require.ErrorContains(t, err, "MEMBER cannot be removed")
}

func TestAMembershipEndsWhenItExpires(t *testing.T) {
	_, people, client, clock := newPeople(t)
	group := createGroup(t, client, developers)
	expiring := func(in time.Duration) *cloudidentity.MembershipRole {
		return &cloudidentity.MembershipRole{Name: "MEMBER", ExpiryDetail: &cloudidentity.ExpiryDetail{ExpireTime: clock.now().Add(in).Format(time.RFC3339)}}
	}
	m := aMember(ana)
	m.Roles = append(m.Roles, expiring(time.Hour))
	_, err := client.Groups.Memberships.Create(group, m).Do()
	require.NoError(t, err)
	found, err := client.Groups.Memberships.Lookup(group).MemberKeyId(ana).Do()
	require.NoError(t, err)
	_, err = client.Groups.Memberships.ModifyMembershipRoles(found.Name, &cloudidentity.ModifyMembershipRolesRequest{
		UpdateRolesParams: []*cloudidentity.UpdateMembershipRolesParams{{FieldMask: "expiryDetail.expireTime", MembershipRole: expiring(3 * time.Hour)}},
	}).Do()
	require.NoError(t, err)

	clock.advance(2 * time.Hour)
	assert.True(t, people.Allows([]string{"group:" + developers}, ana))
	clock.advance(2 * time.Hour)
	assert.False(t, people.Allows([]string{"group:" + developers}, ana))
	_, err = client.Groups.Memberships.Get(found.Name).Do()
	require.ErrorContains(t, err, "Error(2028)")
}

func TestWhatCannotBeAGroupOrAMembershipIsRefused(t *testing.T) {
	c, _, client, _ := newPeople(t)
	group := createGroup(t, client, developers)
	existing := aMember(bob, "MEMBER")
	_, err := client.Groups.Memberships.Create(group, existing).Do()
	require.NoError(t, err)
	all := c.apis.Inventory()
	for _, tt := range []struct {
		title, path, body string
		code              int
		want              []string
	}{
		{"a group of somebody else's", "groups", `{"parent":"customers/C0other","groupKey":{"id":"x@elsewhere.example"},"labels":{"kind":"x"}}`, 400,
			[]string{"group.parent", "group.group_key.id", "groups.discussion_forum", `"kind"`}},
		{"a group that is there", "groups", `{"parent":"customers/C0123abcd","groupKey":{"id":"Developers@example.com"},"labels":{"` + anyGroup + `":""}}`, 409, []string{"Error(2006)"}},
		{"a group with an unknown start", "groups?initialGroupConfig=FULL", `{}`, 400, []string{"initialGroupConfig"}},
		{"a field that groups do not have", "groups", `{"email":"x"}`, 400, []string{"Invalid JSON payload", "email"}},
		{"nobody", group + "/memberships", `{"roles":[{"name":"MEMBER"}]}`, 400, []string{"preferredMemberKey.id is required"}},
		{"somebody unknown", group + "/memberships", `{"preferredMemberKey":{"id":"nobody@example.com"},"roles":[{"name":"MEMBER"}]}`, 404, []string{"nobody@example.com"}},
		{"somebody who is in it", group + "/memberships", `{"preferredMemberKey":{"id":"bob@example.com"},"roles":[{"name":"MEMBER"}]}`, 409, []string{"Error(4003)"}},
		{"the group itself", group + "/memberships", `{"preferredMemberKey":{"id":"developers@example.com"},"roles":[{"name":"MEMBER"}]}`, 400, []string{"member of itself"}},
		{"an owner who is no member", group + "/memberships", `{"preferredMemberKey":{"id":"ana@example.com"},"roles":[{"name":"OWNER"}]}`, 400, []string{"MEMBER is required"}},
		{"roles that are none", group + "/memberships", `{"preferredMemberKey":{"id":"ana@example.com"},"roles":[{"name":"MEMBER"},{"name":"MEMBER"},{"name":"KING"}]}`, 400, []string{"given twice", `"KING"`}},
		{"an owner for a while", group + "/memberships", `{"preferredMemberKey":{"id":"ana@example.com"},"roles":[{"name":"MEMBER"},{"name":"OWNER","expiryDetail":{"expireTime":"2999-01-01T00:00:00Z"}}]}`, 400, []string{"OWNER cannot expire"}},
		{"a member until yesterday", group + "/memberships", `{"preferredMemberKey":{"id":"ana@example.com"},"roles":[{"name":"MEMBER","expiryDetail":{"expireTime":"2001-01-01T00:00:00Z"}}]}`, 400, []string{"must be in the future"}},
		{"a group that is not there", "groups/none/memberships", `{"preferredMemberKey":{"id":"ana@example.com"},"roles":[{"name":"MEMBER"}]}`, 403, []string{"Error(2028)"}},
	} {
		t.Run(tt.title, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/v1/"+tt.path, strings.NewReader(tt.body))
			require.NoError(t, err)
			resp, err := (&http.Client{Transport: billed{bearer("owner-token"), projectID}}).Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			problem := googleapi.CheckResponse(resp)
			require.Equal(t, tt.code, resp.StatusCode, problem)
			for _, text := range tt.want {
				assert.ErrorContains(t, problem, text)
			}
			assert.Equal(t, all, c.apis.Inventory())
		})
	}
}

func TestWhoMayAskForGroups(t *testing.T) {
	c, people, _, _ := newPeople(t)
	require.NoError(t, people.AddGroup(developers))
	for _, tt := range []struct {
		title, token, project string
		code                  int
		want                  string
	}{
		{"an administrator", "owner-token", projectID, 200, ""},
		{"an administrator by the project's number", "owner-token", fmt.Sprint(projectNumber), 200, ""},
		{"an administrator without a quota project", "owner-token", "", 403, "requires a quota project"},
		{"an administrator with a project that has the API off", "owner-token", "other-dev", 403, "Cloud Identity API has not been used in project 42"},
		{"an administrator with a project that is not there", "owner-token", "none", 403, "serviceusage.services.use"},
		{"somebody else", "stranger-token", projectID, 403, "Error(2028)"},
		{"nobody", "", projectID, 401, "invalid authentication credentials"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/v1/groups:lookup?groupKey.id="+developers, nil)
			require.NoError(t, err)
			transport := http.DefaultTransport
			if tt.token != "" {
				transport = bearer(tt.token)
			}
			resp, err := (&http.Client{Transport: billed{transport, tt.project}}).Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			problem := googleapi.CheckResponse(resp)
			require.Equal(t, tt.code, resp.StatusCode, problem)
			if tt.want != "" {
				assert.ErrorContains(t, problem, tt.want)
			}
		})
	}
}
