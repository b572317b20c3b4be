package apis

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEveryRoleThatCanBeGrantedHoldsSomething(t *testing.T) {
	for resource, grantable := range map[string][]string{
		"a service": serviceRoles, "an account": accountRoles, "a repository": repositoryRoles, "a secret": secretRoles, "a bucket": bucketRoles, "a key": keyRoles,
	} {
		for _, role := range grantable {
			assert.NotEmpty(t, roles[role], "%s on %s", role, resource)
		}
		assert.True(t, slices.IsSorted(grantable), "roles on %s", resource)
	}
}

func TestOnlyTheBasicRoleOwnerHoldsEverything(t *testing.T) {
	for role := range roles {
		for _, permission := range []string{"run.services.setIamPolicy", "iam.serviceAccounts.setIamPolicy"} {
			both := roleHolds(role, permission) && roleHolds(role, "artifactregistry.repositories.setIamPolicy")
			assert.Equal(t, role == "roles/owner", both, "%s and %s", role, permission)
		}
	}
	assert.False(t, roleHolds("roles/none", "run.services.get"))
}
