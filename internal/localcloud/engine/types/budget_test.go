package types_test

import (
	"testing"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/billing"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/monitoring"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
)

func TestABudgetBelongsToTheBillingAccount(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	amount, account := "100", enginetest.BillingAccount
	stack := func() auto.Stack {
		return enginetest.ProgramWith(t, cloud, dir, enginetest.Quota(), []string{"billingbudgets.googleapis.com", "monitoring.googleapis.com"}, func(ctx *pulumi.Context, enabled pulumi.ResourceOption) error {
			channel, err := monitoring.NewNotificationChannel(ctx, "on-call", &monitoring.NotificationChannelArgs{
				Type: pulumi.String("email"), Labels: pulumi.StringMap{"email_address": pulumi.String("on-call@example.com")},
			}, enabled)
			if err != nil {
				return err
			}
			_, err = billing.NewBudget(ctx, "budget", &billing.BudgetArgs{
				BillingAccount: pulumi.String(account), DisplayName: pulumi.String("berth"),
				BudgetFilter: billing.BudgetBudgetFilterArgs{Projects: pulumi.StringArray{pulumi.String("projects/123456789012")}},
				Amount:       billing.BudgetAmountArgs{SpecifiedAmount: billing.BudgetAmountSpecifiedAmountArgs{Units: pulumi.String(amount)}},
				ThresholdRules: billing.BudgetThresholdRuleArray{
					billing.BudgetThresholdRuleArgs{ThresholdPercent: pulumi.Float64(0.5)},
					billing.BudgetThresholdRuleArgs{ThresholdPercent: pulumi.Float64(1), SpendBasis: pulumi.String("FORECASTED_SPEND")},
				},
				AllUpdatesRule: billing.BudgetAllUpdatesRuleArgs{MonitoringNotificationChannels: pulumi.StringArray{channel.ID().ToStringOutput()}},
			}, enabled)
			return err
		})
	}
	enginetest.Up(t, stack())
	enginetest.Settled(t, stack())
	t.Run("the amount changes in place", func(t *testing.T) {
		amount = "250"
		_, changed := enginetest.Up(t, stack())
		assert.Equal(t, map[string]int{"update": 1}, changed)
		enginetest.Settled(t, stack())
	})
	t.Run("of another account it is refused, and the old one stays", func(t *testing.T) {
		account = "FFFFFF-FFFFFF-FFFFFF"
		one := stack()
		_, err := one.Up(t.Context())
		require.ErrorContains(t, err, "Permission 'billing.budgets.create' denied")
		account = enginetest.BillingAccount
		enginetest.Settled(t, stack())
	})
	t.Run("destroy leaves nothing", func(t *testing.T) {
		enginetest.Destroyed(t, cloud, stack())
	})
}
