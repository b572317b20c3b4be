package apis_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/billingbudgets/v1"
	"google.golang.org/api/option"

	"github.com/berth-mcp/berth/internal/localcloud/apis"
)

const account = "billingAccounts/012345-6789AB-CDEF01"

func newBudgets(t *testing.T, token string) (*cloud, *billingbudgets.BillingAccountsBudgetsService) {
	t.Helper()
	c := newCloud(t, func(o *apis.Options) { o.BillingAccount = "012345-6789AB-CDEF01" })
	c.enable(t, "billingbudgets.googleapis.com", "monitoring.googleapis.com")
	client, err := billingbudgets.NewService(t.Context(), option.WithEndpoint(c.url),
		option.WithHTTPClient(&http.Client{Transport: billed{bearer(token), projectID}}))
	require.NoError(t, err)
	return c, client.BillingAccounts.Budgets
}

func TestABudgetReadsWholeAndChanges(t *testing.T) {
	c, budgets := newBudgets(t, "owner-token")
	made, err := budgets.Create(account, &billingbudgets.GoogleCloudBillingBudgetsV1Budget{
		Amount:         &billingbudgets.GoogleCloudBillingBudgetsV1BudgetAmount{SpecifiedAmount: &billingbudgets.GoogleTypeMoney{Units: 100}},
		BudgetFilter:   &billingbudgets.GoogleCloudBillingBudgetsV1Filter{Projects: []string{"projects/acme-dev"}},
		ThresholdRules: []*billingbudgets.GoogleCloudBillingBudgetsV1ThresholdRule{{ThresholdPercent: 0.9}},
	}).Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"projects/123456789012"}, made.BudgetFilter.Projects, "by number")
	assert.Equal(t, []string{"MONTH", "INCLUDE_ALL_CREDITS", "EUR", "CURRENT_SPEND"}, []string{
		made.BudgetFilter.CalendarPeriod, made.BudgetFilter.CreditTypesTreatment, made.Amount.SpecifiedAmount.CurrencyCode, made.ThresholdRules[0].SpendBasis})
	assert.Equal(t, []string{"//billingbudgets.googleapis.com/" + made.Name}, c.apis.Inventory())
	changed, err := budgets.Patch(made.Name, &billingbudgets.GoogleCloudBillingBudgetsV1Budget{DisplayName: "berth"}).UpdateMask("displayName").Do()
	require.NoError(t, err)
	assert.Equal(t, int64(100), changed.Amount.SpecifiedAmount.Units)
	listed, err := budgets.List(account).Do()
	require.NoError(t, err)
	assert.Len(t, listed.Budgets, 1)
	_, err = budgets.Patch(made.Name, made).Do()
	require.ErrorContains(t, err, "changed by somebody else")
	_, err = budgets.Delete(made.Name).Do()
	require.NoError(t, err)
	assert.Empty(t, c.apis.Inventory())
}

func TestABudgetThatCannotBeIsRefusedWithEveryProblem(t *testing.T) {
	c, budgets := newBudgets(t, "owner-token")
	topic := c.must(t, http.MethodPost, "/v3/"+project+"/notificationChannels", `{"type":"pubsub","labels":{"topic":"projects/p/topics/t"}}`)
	_, err := budgets.Create(account, &billingbudgets.GoogleCloudBillingBudgetsV1Budget{
		Amount:         &billingbudgets.GoogleCloudBillingBudgetsV1BudgetAmount{SpecifiedAmount: &billingbudgets.GoogleTypeMoney{CurrencyCode: "USD"}},
		BudgetFilter:   &billingbudgets.GoogleCloudBillingBudgetsV1Filter{Projects: []string{"projects/none"}, Services: []string{"run"}},
		ThresholdRules: []*billingbudgets.GoogleCloudBillingBudgetsV1ThresholdRule{{ThresholdPercent: -1}},
		NotificationsRule: &billingbudgets.GoogleCloudBillingBudgetsV1NotificationsRule{
			PubsubTopic: "t", SchemaVersion: "2.0", MonitoringNotificationChannels: []string{"none", topic["name"].(string)}},
	}).Do()
	for _, text := range []string{"currency_code", "not more than nothing", "projects[0]", "services[0]", "threshold_percent", "pubsub_topic", "schema_version",
		"no notification channel", "budgets write to e-mail channels"} {
		require.ErrorContains(t, err, text)
	}
	_, err = budgets.Create(account, &billingbudgets.GoogleCloudBillingBudgetsV1Budget{}).Do()
	require.ErrorContains(t, err, "One of specified_amount and last_period_amount is required")
}

func TestBudgetsAreForWhoAdministersTheBillingAccount(t *testing.T) {
	_, stranger := newBudgets(t, "stranger-token")
	_, err := stranger.List(account).Do()
	require.ErrorContains(t, err, "Permission 'billing.budgets.list' denied")
	c, budgets := newBudgets(t, "owner-token")
	a := c.call(t, http.MethodGet, "/v1/"+account+"/budgets", "")
	assert.Equal(t, http.StatusForbidden, a.code)
	_, message := a.problem()
	assert.Contains(t, message, "billingbudgets.googleapis.com API requires a quota project")
	_, err = budgets.List("billingAccounts/FFFFFF-FFFFFF-FFFFFF").Do()
	require.ErrorContains(t, err, "Permission 'billing.budgets.list' denied")
}
