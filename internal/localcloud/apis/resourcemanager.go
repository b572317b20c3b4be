package apis

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// resourceManager serves what Cloud Resource Manager v1 tells of a project:
// REST only, as that API has no public protos.
type resourceManager struct {
	projects *projects
	created  time.Time
}

// serves tells whether a request is for this API, and for which project.
func (m *resourceManager) serves(r *http.Request) (projectKey string, ok bool) {
	values, ok := match("v1/projects/*", strings.TrimPrefix(r.URL.Path, "/"))
	if !ok || r.Method != http.MethodGet {
		return "", false
	}
	return values[0], true
}

func (m *resourceManager) get(w http.ResponseWriter, r *http.Request, projectKey string) {
	found, ok := m.projects.find(projectKey)
	// Google does not tell a stranger whether a project exists.
	if !ok || !callerOf(r.Context()).owner {
		writeError(w, status.Error(codes.PermissionDenied, "The caller does not have permission"))
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(map[string]string{ // the caller may have gone
		"projectId":      found.id,
		"projectNumber":  strconv.FormatInt(found.number, 10),
		"name":           found.id,
		"lifecycleState": "ACTIVE",
		"createTime":     m.created.Format(time.RFC3339Nano),
	})
}
