package apis

import (
	"encoding/json"
	"net/http"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const identityAPI = "cloudidentity.googleapis.com"

// quotaProjectHeader names the project that pays for a call.
const quotaProjectHeader = "X-Goog-User-Project"

// cloudIdentity serves groups and who is in them.
type cloudIdentity struct {
	groups   *groups
	projects *projects
	usage    *serviceUsage
	accounts *accounts
}

func (i *cloudIdentity) routes() []restRoute {
	const (
		all, one         = "v1/groups", "v1/groups/*"
		members, aMember = "v1/groups/*/memberships", "v1/groups/*/memberships/*"
	)
	g := i.groups
	return []restRoute{
		{http.MethodPost, all, "", g.create},
		{http.MethodGet, all, "", g.list},
		{http.MethodGet, all, "lookup", g.lookup},
		{http.MethodGet, one, "", g.get},
		{http.MethodPatch, one, "", g.patch},
		{http.MethodDelete, one, "", g.delete},
		{http.MethodPost, members, "", g.addMembership},
		{http.MethodGet, members, "", g.listMemberships},
		{http.MethodGet, members, "lookup", g.lookupMembership},
		{http.MethodGet, aMember, "", g.getMembership},
		{http.MethodDelete, aMember, "", g.removeMembership},
		{http.MethodPost, aMember, "modifyMembershipRoles", g.modifyRoles},
	}
}

// admit asks for a quota project: groups belong to no project, so a person must
// say whose API and quota it is. A service account has a project of its own.
// Groups are the business of administrators, who here are the owners.
func (i *cloudIdentity) admit(r *http.Request) error {
	who := callerOf(r.Context())
	on, known := i.projects.find(r.Header.Get(quotaProjectHeader))
	if r.Header.Get(quotaProjectHeader) == "" {
		var err error
		if on, err = i.accounts.projectOf(who.email); err != nil {
			return status.Error(codes.PermissionDenied, "Your application is authenticating by using local Application Default Credentials. "+
				"The cloudidentity.googleapis.com API requires a quota project, which is not set by default. "+
				"To learn how to set your quota project, see https://cloud.google.com/docs/authentication/adc-troubleshooting/user-creds .")
		}
		known = true
	}
	if !known {
		return denied("serviceusage.services.use", "projects/"+r.Header.Get(quotaProjectHeader))
	}
	if err := i.usage.mustBeEnabled(on, identityAPI); err != nil {
		return err
	}
	if !who.owner {
		return notPermitted("groups")
	}
	return nil
}

// done is an operation that has ended: Cloud Identity's always have.
func done(kind string, response any) (any, error) {
	encoded, err := json.Marshal(response)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "encoding %s: %v", kind, err)
	}
	body := map[string]any{}
	if err := json.Unmarshal(encoded, &body); err != nil {
		return nil, status.Errorf(codes.Internal, "encoding %s: %v", kind, err)
	}
	body["@type"] = "type.googleapis.com/" + kind
	return map[string]any{"done": true, "response": body}, nil
}

// listed is one page of all, under a key.
func listed[T any](c restCall, key string, all []T, name func(T) string) (any, error) {
	const most = 1000 // Cloud Identity's largest page
	size := 0
	if given := c.query.Get("pageSize"); given != "" {
		var err error
		if size, err = strconv.Atoi(given); err != nil || size > most {
			return nil, status.Errorf(codes.InvalidArgument, "pageSize is %q: it must be a number of at most %d.", given, most)
		}
	}
	sortByName(all, name)
	items, next, err := page(all, name, int32(size), c.query.Get("pageToken"), most)
	return map[string]any{key: items, "nextPageToken": next}, err
}
