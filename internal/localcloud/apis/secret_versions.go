package apis

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// latestVersion stands for the version that was added last.
const latestVersion = "latest"

// secretVersion is one value of a secret.
type secretVersion struct {
	state   *sm.SecretVersion // replaced, never changed
	payload []byte            // nil once it is destroyed
}

func (s *secrets) AddSecretVersion(_ context.Context, req *sm.AddSecretVersionRequest) (*sm.SecretVersion, error) {
	v := violations{request: "AddSecretVersionRequest"}
	data, checksum := req.GetPayload().GetData(), req.GetPayload().DataCrc32C
	if n := len(data); n == 0 || n > maxPayload {
		v.add("payload.data", "%d bytes; there must be 1 to %d", n, maxPayload)
	}
	if checksum != nil && *checksum != checksumOf(data) {
		v.add("payload.data_crc32c", "%d is not the checksum of the data, which is %d", *checksum, checksumOf(data))
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, name, err := s.find(req.GetParent())
	if err != nil {
		return nil, err
	}
	if err := s.encryptable(found.state, name); err != nil {
		return nil, err
	}
	added := &sm.SecretVersion{
		Name:                           fmt.Sprintf("%s/versions/%d", found.state.GetName(), len(found.versions)+1),
		CreateTime:                     s.clock.stamp(),
		State:                          sm.SecretVersion_ENABLED,
		Etag:                           newEtag(),
		ClientSpecifiedPayloadChecksum: checksum != nil,
	}
	found.versions = append(found.versions, &secretVersion{state: added, payload: slices.Clone(data)})
	return added, nil
}

// encryptable tells whether the keys of all replicas may be used.
func (s *secrets) encryptable(state *sm.Secret, name string) error {
	on, _ := s.projects.find(strings.Split(name, "/")[1])
	usable := func(encryption *sm.CustomerManagedEncryption, location string) error {
		return s.keys.usable(encryption.GetKmsKeyName(), "Secret Manager", on.secretsAgent(), location)
	}
	for _, replica := range state.GetReplication().GetUserManaged().GetReplicas() {
		if err := usable(replica.GetCustomerManagedEncryption(), replica.GetLocation()); err != nil {
			return err
		}
	}
	return usable(state.GetReplication().GetAutomatic().GetCustomerManagedEncryption(), "global")
}

func (s *secrets) GetSecretVersion(_ context.Context, req *sm.GetSecretVersionRequest) (*sm.SecretVersion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.findVersion(req.GetName(), true)
	if err != nil {
		return nil, err
	}
	return found.state, nil
}

func (s *secrets) AccessSecretVersion(_ context.Context, req *sm.AccessSecretVersionRequest) (*sm.AccessSecretVersionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.findVersion(req.GetName(), true)
	if err != nil {
		return nil, err
	}
	if state := found.state.GetState(); state != sm.SecretVersion_ENABLED {
		return nil, status.Errorf(codes.FailedPrecondition, "Secret Version [%s] is in %s state.", found.state.GetName(), state)
	}
	checksum := checksumOf(found.payload)
	return &sm.AccessSecretVersionResponse{
		Name:    found.state.GetName(),
		Payload: &sm.SecretPayload{Data: slices.Clone(found.payload), DataCrc32C: &checksum},
	}, nil
}

// ListSecretVersions lists the newest first.
func (s *secrets) ListSecretVersions(_ context.Context, req *sm.ListSecretVersionsRequest) (*sm.ListSecretVersionsResponse, error) {
	if req.GetFilter() != "" {
		return nil, status.Error(codes.Unimplemented, "the local cloud lists versions without a filter; leave it out here")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, _, err := s.find(req.GetParent())
	if err != nil {
		return nil, err
	}
	var all []*sm.SecretVersion
	for _, version := range slices.Backward(found.versions) {
		all = append(all, version.state)
	}
	// Pages go by position: versions have numbers for names, and never vanish.
	position := func(v *sm.SecretVersion) string {
		n, _ := strconv.Atoi(lastSegment(v.GetName()))
		return fmt.Sprintf("%010d", len(all)-n)
	}
	items, next, err := page(all, position, req.GetPageSize(), req.GetPageToken(), maxSecretPage)
	return &sm.ListSecretVersionsResponse{Versions: items, NextPageToken: next, TotalSize: int32(len(all))}, err
}

func (s *secrets) EnableSecretVersion(_ context.Context, req *sm.EnableSecretVersionRequest) (*sm.SecretVersion, error) {
	return s.turn(req.GetName(), req.GetEtag(), sm.SecretVersion_ENABLED)
}

func (s *secrets) DisableSecretVersion(_ context.Context, req *sm.DisableSecretVersionRequest) (*sm.SecretVersion, error) {
	return s.turn(req.GetName(), req.GetEtag(), sm.SecretVersion_DISABLED)
}

func (s *secrets) DestroySecretVersion(_ context.Context, req *sm.DestroySecretVersionRequest) (*sm.SecretVersion, error) {
	return s.turn(req.GetName(), req.GetEtag(), sm.SecretVersion_DESTROYED)
}

// turn brings a version into a state. What is destroyed stays so.
func (s *secrets) turn(name, etag string, to sm.SecretVersion_State) (*sm.SecretVersion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.findVersion(name, false)
	if err != nil {
		return nil, err
	}
	if err := sameEtag(found.state.GetName(), etag, found.state.GetEtag()); err != nil {
		return nil, err
	}
	switch found.state.GetState() {
	case to:
		return found.state, nil
	case sm.SecretVersion_DESTROYED:
		return nil, status.Errorf(codes.FailedPrecondition, "Secret Version [%s] is in DESTROYED state.", found.state.GetName())
	}
	next := proto.CloneOf(found.state)
	next.State, next.Etag = to, newEtag()
	if to == sm.SecretVersion_DESTROYED {
		next.DestroyTime = s.clock.stamp()
		found.payload = nil
	}
	found.state = next
	return next, nil
}

// findVersion looks a version up by its number, or where it is only read by
// "latest" or an alias; s.mu is held.
func (s *secrets) findVersion(name string, reading bool) (*secretVersion, error) {
	parent, id, ok := strings.Cut(name, "/versions/")
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "Invalid name %q: expected projects/PROJECT/secrets/SECRET/versions/VERSION.", name)
	}
	found, _, err := s.find(parent)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(id)
	if err != nil && reading {
		number = int(found.state.GetVersionAliases()[id])
		if id == latestVersion {
			number = len(found.versions)
		}
	}
	if number < 1 || number > len(found.versions) {
		return nil, status.Errorf(codes.NotFound, "Secret Version [%s/versions/%s] not found.", found.state.GetName(), id)
	}
	return found.versions[number-1], nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksumOf(data []byte) int64 { return int64(crc32.Checksum(data, castagnoli)) }
