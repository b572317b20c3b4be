package apis

import (
	"encoding/json"
	"net/http"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const identityAPI = "cloudidentity.googleapis.com"

// cloudIdentity serves groups and who is in them.
type cloudIdentity struct {
	groups *groups
	access *access
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

// admit: groups are the business of administrators, who here are the owners.
func (i *cloudIdentity) admit(r *http.Request) error {
	if err := i.access.mustHaveQuota(r.Context(), identityAPI); err != nil {
		return err
	}
	if !callerOf(r.Context()).owner {
		return notPermitted("groups")
	}
	return nil
}

// done is an operation that has ended, as Cloud Identity's always have.
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
