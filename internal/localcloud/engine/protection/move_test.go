package protection_test

import (
	"strings"
	"testing"

	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Of a client's things those that are in a region are replaced when it moves, and
// those that are in none stay as they are.
func TestAClientMovesToAnotherRegion(t *testing.T) {
	for name, is := range map[string]struct {
		config  map[string]any
		secrets map[string]string
		staying []string // what is in no region
		moving  int      // the place, the service, its binding and the repository, and what else is in a region
	}{
		"with a group of its own": {
			config: map[string]any{
				"berth:developers": []string{},
				"berth:group":      map[string]any{"email": "umbrella@example.com", "customer": localcloud.Customer, "members": []string{enginetest.Ada}},
			},
			staying: []string{"/serviceAccounts/berth-acme@", "/groups/"},
			moving:  4,
		},
		"suspended": {
			config:  map[string]any{"berth:suspend": true, "berth:viewer": true},
			staying: []string{"/serviceAccounts/berth-acme@"},
			moving:  5,
		},
		"with data that was let go and a secret": {
			config:  map[string]any{"berth:data": map[string]any{"enabled": true, "protect": false}},
			secrets: map[string]string{"berth:secrets.API_TOKEN.value": "hunter2"},
			staying: []string{"/serviceAccounts/berth-acme@"},
			moving:  9,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, dir := enginetest.StartCloud(t), t.TempDir()
			acme := enginetest.Deploy(t, cloud, dir, "acme", enginetest.Quota()).Set(is.config)
			acme.Secrets = is.secrets
			acme.Up(t)
			before := strings.Join(cloud.Inventory(), "\n")
			require.Contains(t, before, "/locations/europe-west1/services/berth-acme")

			outputs, changed := acme.Set(map[string]any{"gcp:region": "europe-west4"}).Up(t)
			assert.Equal(t, map[string]int{"replace": is.moving}, changed)
			after := strings.Join(cloud.Inventory(), "\n")
			assert.NotContains(t, after, "europe-west1")
			assert.Contains(t, after, "/locations/europe-west4/services/berth-acme")
			for _, one := range is.staying {
				require.Contains(t, before, one)
				assert.Contains(t, after, one)
			}
			if is.config["berth:suspend"] == nil {
				assert.Equal(t, "well", acme.Said(t, outputs, "/"))
			}
			if is.secrets != nil {
				assert.Equal(t, "hunter2", acme.Said(t, outputs, "/env/API_TOKEN"))
			}
			enginetest.Settled(t, acme.Stack(t))
			enginetest.Destroyed(t, cloud, acme.Stack(t))
		})
	}
}

func TestAMoveOfWhatIsProtectedIsRefused(t *testing.T) {
	for name, protection := range map[string]map[string]any{
		"data":        {"berth:data": map[string]any{"enabled": true}},
		"the service": {"berth:deletionProtection": true},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, dir := enginetest.StartCloud(t), t.TempDir()
			acme := enginetest.Deploy(t, cloud, dir, "acme", protection)
			acme.Secrets = map[string]string{"berth:secrets.API_TOKEN.value": "hunter2"}
			outputs, _ := acme.Up(t)
			if protection["berth:data"] != nil {
				enginetest.PutObject(t, cloud, enginetest.Project+"-berth-acme", "goals.json")
			}
			before := cloud.Inventory()

			for key, moved := range map[string]string{"gcp:region": "europe-west4", "berth:client": "umbrella"} {
				stack := acme.Set(map[string]any{key: moved}).Stack(t)
				_, err := stack.Preview(t.Context())
				require.ErrorContains(t, err, "marked for protection")
				require.Equal(t, before, cloud.Inventory(), "a preview changes nothing")
				_, err = stack.Up(t.Context())
				require.ErrorContains(t, err, "berth-place", "without a preview too")
				require.ErrorContains(t, err, "marked for protection")
				require.Equal(t, before, cloud.Inventory(), "nothing was changed")
				delete(acme.Config, key)
			}
			assert.Equal(t, "well", acme.Said(t, outputs, "/"))
			_, changed := acme.Up(t)
			assert.Empty(t, changed, "and there is no way to go back")
		})
	}
}

// An update that fails leaves a stack without its guard.
func TestWhatIsProtectedIsNotDestroyedHalfThoughItsFirstUpdateFailed(t *testing.T) {
	for name, is := range map[string]struct {
		broken map[string]any
		says   string
	}{
		"as the server does not start":    {map[string]any{"berth:startupProbe": map[string]any{"type": "http", "port": 1, "period": 1, "failures": 1}}, "failed to start"},
		"as the developers are not there": {map[string]any{"berth:developers": []string{"group:nobody@example.com"}}, "nobody@example.com does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, dir := enginetest.StartCloud(t), t.TempDir()
			acme := enginetest.Deploy(t, cloud, dir, "acme", map[string]any{
				"berth:data":       map[string]any{"enabled": true},
				"berth:viewer":     true,
				"berth:monitoring": map[string]any{"enabled": true},
			})
			acme.Secrets = map[string]string{"berth:secrets.API_TOKEN.value": "hunter2"}
			stack := acme.Set(is.broken).Stack(t)
			_, err := stack.Up(t.Context())
			require.ErrorContains(t, err, is.says)
			before := cloud.Inventory()
			require.Contains(t, strings.Join(before, "\n"), "/services/berth-acme")

			_, err = stack.Destroy(t.Context())
			require.ErrorContains(t, err, "cannot be deleted")
			require.ErrorContains(t, err, "protected")
			require.Equal(t, before, cloud.Inventory(), "nothing was deleted")

			for key := range is.broken {
				delete(acme.Config, key)
			}
			outputs, _ := acme.Up(t)
			assert.Equal(t, before, cloud.Inventory())
			assert.Equal(t, "hunter2", acme.Said(t, outputs, "/env/API_TOKEN"))
			enginetest.Settled(t, acme.Stack(t))
		})
	}
}
