package project

import (
	"maps"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/billing"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/monitoring"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// newChannels are where alerts of all clients, and the budget's, may be sent: by the
// name that the configuration gives them.
func newChannels(ctx *pulumi.Context, cfg Config, apis apiSet) (map[string]*monitoring.NotificationChannel, error) {
	channels := map[string]*monitoring.NotificationChannel{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Channels)) {
		c := cfg.Channels[name]
		kind, label, value := "email", "email_address", c.Email
		if c.Topic != "" {
			kind, label, value = "pubsub", "topic", c.Topic
		}
		channel, err := monitoring.NewNotificationChannel(ctx, "channel-"+name, &monitoring.NotificationChannelArgs{
			Project:     pulumi.String(cfg.Project),
			DisplayName: pulumi.String("berth " + name),
			Description: pulumi.String("Alerts of MCP servers"),
			Type:        pulumi.String(kind),
			Labels:      pulumi.StringMap{label: pulumi.String(value)},
			UserLabels:  pulumi.StringMap{"managed-by": pulumi.String("berth")},
			Enabled:     pulumi.Bool(true),
		}, apis.needs("monitoring.googleapis.com"))
		if err != nil {
			return nil, err
		}
		channels[name] = channel
	}
	return channels, nil
}

// newBudget says when the project's cost nears the amount. It stops nothing: Google
// has no such switch.
func newBudget(ctx *pulumi.Context, cfg Config, channels map[string]*monitoring.NotificationChannel, apis apiSet) error {
	if cfg.Budget.Amount == 0 {
		return nil
	}
	var thresholds billing.BudgetThresholdRuleArray
	for _, percent := range cfg.Budget.Thresholds {
		thresholds = append(thresholds, billing.BudgetThresholdRuleArgs{
			ThresholdPercent: pulumi.Float64(float64(percent) / 100),
			SpendBasis:       pulumi.String("CURRENT_SPEND"),
		})
	}
	var currency pulumi.StringPtrInput // left out, it is the billing account's
	if cfg.Budget.Currency != "" {
		currency = pulumi.String(cfg.Budget.Currency)
	}
	args := &billing.BudgetArgs{
		BillingAccount: pulumi.String(cfg.Budget.BillingAccount),
		DisplayName:    pulumi.String("berth " + cfg.Project),
		BudgetFilter: billing.BudgetBudgetFilterArgs{
			Projects: pulumi.StringArray{pulumi.Sprintf("projects/%s", numberOf(ctx, cfg.Project, apis))},
		},
		Amount: billing.BudgetAmountArgs{
			SpecifiedAmount: billing.BudgetAmountSpecifiedAmountArgs{
				CurrencyCode: currency,
				Units:        pulumi.String(strconv.Itoa(cfg.Budget.Amount)),
			},
		},
		ThresholdRules: thresholds,
	}
	var notify pulumi.StringArray
	for _, name := range slices.Sorted(maps.Keys(cfg.Channels)) {
		// Budgets take e-mail channels alone. The billing account's administrators
		// hear of it in any case.
		if cfg.Channels[name].Email != "" {
			notify = append(notify, channels[name].ID().ToStringOutput())
		}
	}
	if len(notify) > 0 {
		args.AllUpdatesRule = billing.BudgetAllUpdatesRuleArgs{MonitoringNotificationChannels: notify}
	}
	_, err := billing.NewBudget(ctx, "budget", args, apis.needs("billingbudgets.googleapis.com"))
	return err
}
