package apis

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	storageapi "google.golang.org/api/storage/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// bucketRoles may be granted on a bucket.
var bucketRoles = []string{
	"roles/storage.admin", "roles/storage.legacyBucketOwner", "roles/storage.legacyBucketReader",
	"roles/storage.legacyBucketWriter", "roles/storage.legacyObjectOwner", "roles/storage.legacyObjectReader",
	"roles/storage.objectAdmin", "roles/storage.objectCreator", "roles/storage.objectUser", "roles/storage.objectViewer",
}

// Cloud Storage's defaults and bounds, after
// https://cloud.google.com/storage/docs/json_api/v1/buckets.
const (
	enforced            = "enforced"
	inherited           = "inherited"
	standardClass       = "STANDARD"
	defaultSoftDelete   = 7 * daySeconds
	leastSoftDelete     = 7 * daySeconds
	mostSoftDelete      = 90 * daySeconds
	mostRetention       = 100 * 365 * daySeconds
	daySeconds          = 24 * 60 * 60
	longestBucketName   = 63
	longestBucketDotted = 222
)

var (
	lenientJSON = protojson.UnmarshalOptions{DiscardUnknown: true}
	policyJSON  = protojson.MarshalOptions{}

	bucketNamePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)
	storageClasses    = []string{standardClass, "NEARLINE", "COLDLINE", "ARCHIVE"}
	// storageMultiRegions are where buckets are besides the regions.
	storageMultiRegions = []string{"ASIA", "EU", "US"}
)

func versioned(b *storageapi.Bucket) bool { return b.Versioning != nil && b.Versioning.Enabled }

// fillBucket fills in what the caller left out of a new bucket, and what only the
// API says.
func (s *storage) fillBucket(b *storageapi.Bucket, on project) {
	b.Location = strings.ToUpper(cmp.Or(b.Location, "US"))
	b.LocationType = "region"
	if slices.Contains(storageMultiRegions, b.Location) {
		b.LocationType = "multi-region"
		b.Rpo = cmp.Or(b.Rpo, "DEFAULT")
	}
	b.StorageClass = cmp.Or(b.StorageClass, standardClass)
	b.ProjectNumber = uint64(on.number)
	b.TimeCreated = s.stamp()
	b.Generation = s.clock().UnixMicro()
	if b.SoftDeletePolicy == nil {
		b.SoftDeletePolicy = &storageapi.BucketSoftDeletePolicy{RetentionDurationSeconds: defaultSoftDelete}
	}
	s.updateBucket(b, nil)
}

// updateBucket sets what follows from the rest, and from what was before, if
// anything was.
func (s *storage) updateBucket(b, old *storageapi.Bucket) {
	now := s.stamp()
	b.Kind, b.Id, b.SelfLink = "storage#bucket", b.Name, "https://www.googleapis.com/storage/v1/b/"+b.Name
	b.Updated, b.Metageneration = now, 1
	if old != nil {
		b.Metageneration = old.Metageneration + 1
	}
	b.Etag = base64.StdEncoding.EncodeToString([]byte(strconv.FormatInt(b.Metageneration, 10)))
	if b.IamConfiguration == nil {
		b.IamConfiguration = &storageapi.BucketIamConfiguration{}
	}
	b.IamConfiguration.PublicAccessPrevention = cmp.Or(b.IamConfiguration.PublicAccessPrevention, inherited)
	if b.Versioning != nil {
		b.Versioning.ForceSendFields = []string{"Enabled"} // false was said by somebody
	}
	if policy := b.SoftDeletePolicy; policy != nil {
		policy.ForceSendFields = []string{"RetentionDurationSeconds"} // zero says that it is off
		if old == nil || old.SoftDeletePolicy == nil || policy.RetentionDurationSeconds != old.SoftDeletePolicy.RetentionDurationSeconds {
			policy.EffectiveTime = now
		}
	}
	if policy := b.RetentionPolicy; policy != nil && (old == nil || old.RetentionPolicy == nil || policy.RetentionPeriod != old.RetentionPolicy.RetentionPeriod) {
		policy.EffectiveTime = now
	}
}

// outputFields are the API's to say.
var outputFields = []string{
	"etag", "generation", "id", "kind", "location", "locationType", "metageneration", "name", "projectNumber", "selfLink", "timeCreated", "updated",
}

// quoted are the numbers that JSON has as strings, for their size. Google takes
// them as either.
var quoted = [][2]string{{"softDeletePolicy", "retentionDurationSeconds"}, {"retentionPolicy", "retentionPeriod"}}

// objectBody reads a call's JSON object.
func (c *storageCall) objectBody() (map[string]any, error) {
	var object map[string]any
	if err := json.Unmarshal(c.body, &object); err != nil {
		return nil, err
	}
	for _, path := range quoted {
		if parent, ok := object[path[0]].(map[string]any); ok {
			if number, ok := parent[path[1]].(float64); ok {
				parent[path[1]] = strconv.FormatFloat(number, 'f', -1, 64)
			}
		}
	}
	return object, nil
}

// bucketBody reads a call's bucket.
func (c *storageCall) bucketBody() (*storageapi.Bucket, error) {
	object, err := c.objectBody()
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	b := &storageapi.Bucket{}
	return b, json.Unmarshal(encoded, b)
}

// patched is a bucket with a change merged in.
func patched(old *storageapi.Bucket, change map[string]any) (*storageapi.Bucket, error) {
	encoded, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	var merged map[string]any
	if err := json.Unmarshal(encoded, &merged); err != nil {
		return nil, err
	}
	for _, field := range outputFields {
		delete(change, field)
	}
	mergePatch(merged, change)
	if encoded, err = json.Marshal(merged); err != nil {
		return nil, err
	}
	next := &storageapi.Bucket{}
	return next, json.Unmarshal(encoded, next)
}

// mergePatch is RFC 7386.
func mergePatch(into, change map[string]any) {
	for name, value := range change {
		nested, isObject := value.(map[string]any)
		have, hadObject := into[name].(map[string]any)
		switch {
		case value == nil:
			delete(into, name)
		case isObject && hadObject:
			mergePatch(have, nested)
		default:
			into[name] = value
		}
	}
}

// checkStorageBucketChange checks what a bucket is to become, given what it is.
func checkStorageBucketChange(next, old *storageapi.Bucket) error {
	if was := old.RetentionPolicy; was != nil && was.IsLocked && (next.RetentionPolicy == nil || next.RetentionPolicy.RetentionPeriod < was.RetentionPeriod) {
		return status.Errorf(codes.PermissionDenied, "Cannot reduce retention duration of a locked Retention Policy for bucket '%s'.", old.Name)
	}
	return checkStorageBucket(next)
}

// checkStorageBucket finds everything that is wrong with a bucket whose defaults are
// filled in.
func checkStorageBucket(b *storageapi.Bucket) error {
	if err := unservedByBucket(b); err != nil {
		return err
	}
	v := violations{request: "Bucket"}
	longest := longestBucketName
	if strings.Contains(b.Name, ".") {
		longest = longestBucketDotted
	}
	if !bucketNamePattern.MatchString(b.Name) || len(b.Name) > longest || strings.HasPrefix(b.Name, "goog") || strings.Contains(b.Name, "google") || strings.Contains(b.Name, "..") {
		v.add("name", "Invalid bucket name: '%s'. It must have 3 to 63 lower-case letters, digits, hyphens, underscores and dots, and not begin with goog", b.Name)
	}
	if !isRegion(strings.ToLower(b.Location)) && !slices.Contains(storageMultiRegions, b.Location) {
		v.add("location", "The specified location constraint is not valid: %s", b.Location)
	}
	if !slices.Contains(storageClasses, b.StorageClass) {
		v.add("storageClass", "%q is not one of %s", b.StorageClass, strings.Join(storageClasses, ", "))
	}
	if p := b.IamConfiguration.PublicAccessPrevention; p != enforced && p != inherited {
		v.add("iamConfiguration.publicAccessPrevention", "%q is neither %s nor %s", p, enforced, inherited)
	}
	if p := b.SoftDeletePolicy; p != nil && p.RetentionDurationSeconds != 0 && (p.RetentionDurationSeconds < leastSoftDelete || p.RetentionDurationSeconds > mostSoftDelete) {
		v.add("softDeletePolicy.retentionDurationSeconds", "%d is neither 0 nor %d to %d", p.RetentionDurationSeconds, leastSoftDelete, mostSoftDelete)
	}
	if p := b.RetentionPolicy; p != nil && (p.RetentionPeriod < 1 || p.RetentionPeriod > mostRetention) {
		v.add("retentionPolicy.retentionPeriod", "%d is not 1 to %d", p.RetentionPeriod, mostRetention)
	}
	if b.RetentionPolicy != nil && versioned(b) {
		v.add("retentionPolicy", "The local cloud has retention and versioning apart only; set one of them here")
	}
	if b.Lifecycle != nil {
		for i, rule := range b.Lifecycle.Rule {
			if rule.Action == nil || rule.Condition == nil {
				v.add(fmt.Sprintf("lifecycle.rule[%d]", i), "A rule takes an action and a condition")
			}
		}
	}
	checkLabels(&v, "labels", b.Labels)
	return v.err()
}

// unservedByBucket names what Cloud Storage has and the local cloud does not, so
// that it is never ignored in silence.
func unservedByBucket(b *storageapi.Bucket) error {
	uniform := b.IamConfiguration.UniformBucketLevelAccess
	var found []string
	for _, f := range []struct {
		name string
		used bool
	}{
		{"acl", len(b.Acl) > 0 || len(b.DefaultObjectAcl) > 0},
		{"autoclass", b.Autoclass != nil && b.Autoclass.Enabled},
		{"billing.requesterPays", b.Billing != nil && b.Billing.RequesterPays},
		{"customPlacementConfig", b.CustomPlacementConfig != nil},
		{"hierarchicalNamespace", b.HierarchicalNamespace != nil && b.HierarchicalNamespace.Enabled},
		{"iamConfiguration.uniformBucketLevelAccess that is off", uniform == nil || !uniform.Enabled},
		{"ipFilter", b.IpFilter != nil && b.IpFilter.Mode != "Disabled"},
		{"logging", b.Logging != nil},
		{"website", b.Website != nil},
	} {
		if f.used {
			found = append(found, f.name)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return status.Errorf(codes.Unimplemented, "the local cloud's buckets do not have %s; set it otherwise here", strings.Join(found, ", "))
}
