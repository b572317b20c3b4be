package apis

import (
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// resourceManager serves what Cloud Resource Manager v1 tells of a project:
// REST only, as that API has no public protos.
type resourceManager struct {
	projects *projects
	policies *policies
	created  time.Time
}

func (m *resourceManager) routes() []restRoute {
	return []restRoute{{http.MethodGet, "v1/projects/*", "", m.get}}
}

// admit lets everybody ask, who is signed in: what they may read is decided by
// the project.
func (m *resourceManager) admit(*http.Request) error { return nil }

func (m *resourceManager) get(c restCall) (any, error) {
	found, ok := m.projects.find(c.names[0])
	// Google does not tell a stranger whether a project exists.
	if !ok || !m.policies.may(c.Context(), getProject, "projects/"+found.id) {
		return nil, status.Error(codes.PermissionDenied, "The caller does not have permission")
	}
	return map[string]any{
		"projectId":      found.id,
		"projectNumber":  strconv.FormatInt(found.number, 10),
		"name":           found.id,
		"lifecycleState": "ACTIVE",
		"createTime":     m.created.Format(time.RFC3339Nano),
	}, nil
}
