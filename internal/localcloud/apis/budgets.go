package apis

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"cloud.google.com/go/billing/budgets/apiv1/budgetspb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	budgetAPI = "billingbudgets.googleapis.com"
	// accountCurrency is what the billing account pays in.
	accountCurrency = "EUR"
	// maxBudgetChannels and maxBudgetName are Cloud Billing's bounds, after the
	// field documentation of its protos.
	maxBudgetChannels = 5
	maxBudgetName     = 60 // characters
)

var (
	budgetServicePattern = regexp.MustCompile(`^services/[A-Z0-9-]+$`)
	topicPattern         = regexp.MustCompile(`^projects/[^/]+/topics/[^/]+$`)
)

// budgets belong to the billing account, and to no project.
type budgets struct {
	budgetspb.UnimplementedBudgetServiceServer
	access   *access
	account  string // without billingAccounts/; "": there is none
	channels *channels
	shelf    *shelf[*budgetspb.Budget]
}

// admit lets the administrators of the billing account, who here are the
// owners, do what they want with its budgets.
func (b *budgets) admit(ctx context.Context, account, permission string) error {
	if err := b.access.mustHaveQuota(ctx, budgetAPI); err != nil {
		return err
	}
	if values, ok := match("billingAccounts/*", account); !ok || values[0] != b.account || !callerOf(ctx).owner {
		return denied(permission, account)
	}
	return nil
}

func budgetAccount(name string) string {
	if values, ok := match("billingAccounts/*/budgets/*", name); ok {
		return "billingAccounts/" + values[0]
	}
	return name
}

func (b *budgets) GetBudget(ctx context.Context, req *budgetspb.GetBudgetRequest) (*budgetspb.Budget, error) {
	if err := b.admit(ctx, budgetAccount(req.GetName()), "billing.budgets.get"); err != nil {
		return nil, err
	}
	return b.shelf.get(req.GetName())
}

func (b *budgets) ListBudgets(ctx context.Context, req *budgetspb.ListBudgetsRequest) (*budgetspb.ListBudgetsResponse, error) {
	if err := b.admit(ctx, req.GetParent(), "billing.budgets.list"); err != nil {
		return nil, err
	}
	all, next, err := b.shelf.below(req.GetParent()+"/budgets", req.GetPageSize(), req.GetPageToken(), 100)
	return &budgetspb.ListBudgetsResponse{Budgets: all, NextPageToken: next}, err
}

func (b *budgets) CreateBudget(ctx context.Context, req *budgetspb.CreateBudgetRequest) (*budgetspb.Budget, error) {
	if err := b.admit(ctx, req.GetParent(), "billing.budgets.create"); err != nil {
		return nil, err
	}
	made := &budgetspb.Budget{}
	if req.GetBudget() != nil {
		made = proto.CloneOf(req.GetBudget())
	}
	if err := b.prepare("CreateBudgetRequest", made); err != nil {
		return nil, err
	}
	made.Name, made.Etag = req.GetParent()+"/budgets/"+newUUID(), newHexEtag()
	return made, b.shelf.add(made.GetName(), made)
}

func (b *budgets) UpdateBudget(ctx context.Context, req *budgetspb.UpdateBudgetRequest) (*budgetspb.Budget, error) {
	name := req.GetBudget().GetName()
	if err := b.admit(ctx, budgetAccount(name), "billing.budgets.update"); err != nil {
		return nil, err
	}
	return b.shelf.change(name, func(old *budgetspb.Budget) (*budgetspb.Budget, error) {
		if etag := req.GetBudget().GetEtag(); etag != "" && etag != old.GetEtag() {
			return nil, status.Errorf(codes.Aborted, "The budget was changed by somebody else: its etag is %s, not %s.", old.GetEtag(), etag)
		}
		next := proto.CloneOf(req.GetBudget())
		if paths := req.GetUpdateMask().GetPaths(); len(paths) > 0 {
			next = proto.CloneOf(old)
			if err := copyFields(next, req.GetBudget(), paths); err != nil {
				return nil, err
			}
		}
		next.Name, next.Etag = name, newHexEtag()
		return next, b.prepare("UpdateBudgetRequest", next)
	})
}

func (b *budgets) DeleteBudget(ctx context.Context, req *budgetspb.DeleteBudgetRequest) (*emptypb.Empty, error) {
	if err := b.admit(ctx, budgetAccount(req.GetName()), "billing.budgets.delete"); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, b.shelf.remove(req.GetName(), nil)
}

// prepare fills in what was left out and checks the whole.
func (b *budgets) prepare(request string, budget *budgetspb.Budget) error {
	v := violations{request: request}
	if n := len([]rune(budget.GetDisplayName())); n > maxBudgetName {
		v.add("budget.display_name", "%d characters are too many; the most is %d", n, maxBudgetName)
	}
	if budget.GetBudgetFilter() == nil {
		budget.BudgetFilter = &budgetspb.Filter{}
	}
	b.prepareFilter(&v, budget.GetBudgetFilter())
	switch amount := budget.GetAmount().GetBudgetAmount().(type) {
	case *budgetspb.BudgetAmount_SpecifiedAmount:
		money := amount.SpecifiedAmount
		if money.GetCurrencyCode() == "" {
			money.CurrencyCode = accountCurrency
		}
		if money.GetCurrencyCode() != accountCurrency {
			v.add("budget.amount.specified_amount.currency_code", "%q is not the currency of the billing account, %s", money.GetCurrencyCode(), accountCurrency)
		}
		if money.GetUnits() < 0 || money.GetNanos() < 0 || money.GetUnits() == 0 && money.GetNanos() == 0 {
			v.add("budget.amount.specified_amount", "%d.%09d is not more than nothing", money.GetUnits(), money.GetNanos())
		}
	case nil:
		v.add("budget.amount", "One of specified_amount and last_period_amount is required")
	}
	for i, rule := range budget.GetThresholdRules() {
		if rule.GetSpendBasis() == budgetspb.ThresholdRule_BASIS_UNSPECIFIED {
			rule.SpendBasis = budgetspb.ThresholdRule_CURRENT_SPEND
		}
		if rule.GetThresholdPercent() < 0 {
			v.add(fmt.Sprintf("budget.threshold_rules[%d].threshold_percent", i), "%g is negative", rule.GetThresholdPercent())
		}
	}
	b.checkNotifications(&v, budget.GetNotificationsRule())
	return v.err()
}

func (b *budgets) prepareFilter(v *violations, f *budgetspb.Filter) {
	if f.GetCreditTypesTreatment() == budgetspb.Filter_CREDIT_TYPES_TREATMENT_UNSPECIFIED {
		f.CreditTypesTreatment = budgetspb.Filter_INCLUDE_ALL_CREDITS
	}
	if f.GetUsagePeriod() == nil {
		f.UsagePeriod = &budgetspb.Filter_CalendarPeriod{CalendarPeriod: budgetspb.CalendarPeriod_MONTH}
	}
	for i, name := range f.GetProjects() {
		on, err := b.access.projectOf(name)
		if values, ok := match("projects/*", name); !ok || err != nil || values[0] == "-" {
			v.add(fmt.Sprintf("budget.budget_filter.projects[%d]", i), "%q is not a project of the billing account", name)
			continue
		}
		f.Projects[i] = fmt.Sprintf("projects/%d", on.number)
	}
	for i, service := range f.GetServices() {
		if !budgetServicePattern.MatchString(service) {
			v.add(fmt.Sprintf("budget.budget_filter.services[%d]", i), "%q is not services/ID", service)
		}
	}
}

// checkNotifications: budgets write to e-mail channels alone.
func (b *budgets) checkNotifications(v *violations, r *budgetspb.NotificationsRule) {
	if r == nil {
		return
	}
	if r.GetPubsubTopic() != "" && !topicPattern.MatchString(r.GetPubsubTopic()) {
		v.add("budget.notifications_rule.pubsub_topic", "%q is not projects/PROJECT/topics/TOPIC", r.GetPubsubTopic())
	}
	if s := r.GetSchemaVersion(); !slices.Contains([]string{"", "1.0"}, s) {
		v.add("budget.notifications_rule.schema_version", "%q must be 1.0", s)
	}
	if n := len(r.GetMonitoringNotificationChannels()); n > maxBudgetChannels {
		v.add("budget.notifications_rule.monitoring_notification_channels", "%d are too many; the most is %d", n, maxBudgetChannels)
	}
	for i, name := range r.GetMonitoringNotificationChannels() {
		field := fmt.Sprintf("budget.notifications_rule.monitoring_notification_channels[%d]", i)
		channel, err := b.channels.shelf.get(name)
		switch {
		case err != nil:
			v.add(field, "There is no notification channel %q", name)
		case channel.GetType() != "email":
			v.add(field, "%q is of type %s; budgets write to e-mail channels", name, channel.GetType())
		}
	}
}
