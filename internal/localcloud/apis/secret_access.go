package apis

import (
	"context"
	"strings"

	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// AccessSecret reads a version, projects/P/secrets/S/versions/V, as a service
// account, for a revision that runs as it: who deploys lends it no rights. Errors
// are gRPC statuses in Cloud Run's words.
func (a *APIs) AccessSecret(account, version string) ([]byte, error) {
	secret, _, _ := strings.Cut(version, "/versions/")
	_, name, err := a.secrets.findLocked(secret)
	if name == "" {
		return nil, err // no name of a secret
	}
	if !a.services.policies.permits(account, accessVersion, name) {
		return nil, status.Errorf(codes.FailedPrecondition,
			"Permission denied on secret: %s for Revision service account %s. The service account used must be granted the 'Secret Manager Secret Accessor' role (roles/secretmanager.secretAccessor) at the secret, project or higher level.",
			version, account)
	}
	if err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "Secret %s was not found", version)
	}
	response, err := a.secrets.AccessSecretVersion(context.Background(), &sm.AccessSecretVersionRequest{Name: version})
	if err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "Secret %s cannot be read: %s", version, status.Convert(err).Message())
	}
	return response.GetPayload().GetData(), nil
}

func (s *secrets) findLocked(name string) (*secret, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(name)
}
