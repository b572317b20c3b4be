package apis

import (
	"context"
	"slices"
	"strings"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	keysAPI = "cloudkms.googleapis.com"
	// useKey is what a service agent needs on a key.
	useKey = "cloudkms.cryptoKeyVersions.useToEncrypt"
)

// keyRoles may be granted on a key.
var keyRoles = []string{
	"roles/cloudkms.admin", "roles/cloudkms.cryptoKeyDecrypter", "roles/cloudkms.cryptoKeyEncrypter",
	"roles/cloudkms.cryptoKeyEncrypterDecrypter", "roles/cloudkms.viewer", "roles/editor", "roles/owner", "roles/viewer",
}

// keys are the keys that were there before: a key cannot be deleted, so none is
// made here.
type keys struct {
	kmspb.UnimplementedKeyManagementServiceServer
	access *access
	names  []string
}

func (k *keys) has(name string) bool { return slices.Contains(k.names, name) }

// usable tells whether a service may encrypt with a key, as its agent, what is in a
// location.
func (k *keys) usable(key, service, agent, location string) error {
	if key == "" {
		return nil
	}
	name := k.access.canonical(key)
	if !k.has(name) || !k.access.policies.permits(agent, useKey, name) {
		return status.Errorf(codes.PermissionDenied, "%s Service Agent %s must have permission '%s' on %s (or it may not exist): "+
			"grant it roles/cloudkms.cryptoKeyEncrypterDecrypter there.", service, agent, useKey, key)
	}
	if at := strings.Split(name, "/")[3]; at != location {
		return status.Errorf(codes.InvalidArgument, "The key %s is in %s, and what it is to encrypt in %s: they must be in the same location.", key, at, location)
	}
	return nil
}

func (k *keys) GetKeyRing(_ context.Context, req *kmspb.GetKeyRingRequest) (*kmspb.KeyRing, error) {
	name := k.access.canonical(req.GetName())
	if !slices.ContainsFunc(k.names, func(key string) bool { return strings.HasPrefix(key, name+"/cryptoKeys/") }) {
		return nil, status.Errorf(codes.NotFound, "KeyRing %s not found.", req.GetName())
	}
	return &kmspb.KeyRing{Name: name}, nil
}

func (k *keys) GetCryptoKey(_ context.Context, req *kmspb.GetCryptoKeyRequest) (*kmspb.CryptoKey, error) {
	name := k.access.canonical(req.GetName())
	if !k.has(name) {
		return nil, status.Errorf(codes.NotFound, "CryptoKey %s not found.", req.GetName())
	}
	return &kmspb.CryptoKey{Name: name, Purpose: kmspb.CryptoKey_ENCRYPT_DECRYPT}, nil
}
