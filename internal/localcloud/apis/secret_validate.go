package apis

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Secret Manager's bounds, after https://cloud.google.com/secret-manager/quotas
// and the field documentation of its protos.
const (
	maxPayload    = 64 << 10 // bytes
	maxSecretPage = 25000
	maxAliases    = 50
	maxMetadata   = 16 << 10 // bytes of all annotations
)

var (
	secretIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	aliasPattern    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	metadataPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

	// secretMutable are the fields that a mask may name.
	secretMutable = []string{"annotations", "labels", "version_aliases"}
)

// checkSecret adds everything that is wrong with a secret of that many versions.
func checkSecret(v *violations, s *sm.Secret, versions int) {
	checkReplication(v, s.GetReplication())
	checkLabels(v, "secret.labels", s.GetLabels())
	size := 0
	for _, key := range slices.Sorted(maps.Keys(s.GetAnnotations())) {
		size += len(key) + len(s.GetAnnotations()[key])
		if !metadataPattern.MatchString(key) {
			v.add("secret.annotations", "Key %q must have at most 63 letters, digits, dots, hyphens and underscores, and begin and end with a letter or digit", key)
		}
	}
	if size > maxMetadata {
		v.add("secret.annotations", "%d bytes are too many; the most is %d", size, maxMetadata)
	}
	if n := len(s.GetVersionAliases()); n > maxAliases {
		v.add("secret.version_aliases", "%d aliases are too many; the most is %d", n, maxAliases)
	}
	for _, alias := range slices.Sorted(maps.Keys(s.GetVersionAliases())) {
		number := s.GetVersionAliases()[alias]
		if !aliasPattern.MatchString(alias) || alias == latestVersion || alias == "NEW" {
			v.add("secret.version_aliases", "%q must begin with a letter, have at most 63 letters, digits, hyphens and underscores, and be neither 'latest' nor 'NEW'", alias)
		}
		if number < 1 || number > int64(versions) {
			v.add("secret.version_aliases", "Alias %q is of version %d, which does not exist", alias, number)
		}
	}
}

func checkReplication(v *violations, r *sm.Replication) {
	switch kind := r.GetReplication().(type) {
	case *sm.Replication_Automatic_:
	case *sm.Replication_UserManaged_:
		replicas := kind.UserManaged.GetReplicas()
		if len(replicas) == 0 {
			v.add("secret.replication.user_managed.replicas", "At least one location is required")
		}
		seen := map[string]bool{}
		for i, replica := range replicas {
			field := fmt.Sprintf("secret.replication.user_managed.replicas[%d].location", i)
			if !isRegion(replica.GetLocation()) {
				v.add(field, "There is no location %q", replica.GetLocation())
			}
			if seen[replica.GetLocation()] {
				v.add(field, "%q is used twice", replica.GetLocation())
			}
			seen[replica.GetLocation()] = true
		}
	default:
		v.add("secret.replication", "One of automatic and user_managed is required")
	}
}

// unservedBySecret names what Secret Manager has and the local cloud does not,
// so that it is never ignored in silence.
func unservedBySecret(s *sm.Secret) error {
	var found []string
	for _, f := range []struct {
		name string
		used bool
	}{
		{"secret.customer_managed_encryption", s.GetCustomerManagedEncryption() != nil},
		{"secret.expiration", s.GetExpiration() != nil},
		{"secret.rotation", s.GetRotation() != nil},
		{"secret.tags", len(s.GetTags()) > 0},
		{"secret.topics", len(s.GetTopics()) > 0},
		{"secret.version_destroy_ttl", s.GetVersionDestroyTtl() != nil},
	} {
		if f.used {
			found = append(found, f.name)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return status.Errorf(codes.Unimplemented, "the local cloud does not have %s; leave it unset here", strings.Join(found, ", "))
}
