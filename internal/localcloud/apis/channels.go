package apis

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// channelLabels are the labels of each type of channel, after
// https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.notificationChannelDescriptors.
var channelLabels = map[string][]string{
	"email":             {"email_address"},
	"pagerduty":         {"service_key"},
	"pubsub":            {"topic"},
	"slack":             {"auth_token", "channel_name"},
	"sms":               {"number"},
	"webhook_basicauth": {"password", "url", "username"},
	"webhook_tokenauth": {"url"},
}

// secretLabels are never shown again.
var secretLabels = []string{"auth_token", "password", "service_key"}

// labelPatterns are those values whose form is known.
var labelPatterns = map[string]*regexp.Regexp{
	"email_address": regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`),
	"topic":         regexp.MustCompile(`^projects/[^/]+/topics/[^/]+$`),
	"url":           regexp.MustCompile(`^https?://.+`),
	"number":        regexp.MustCompile(`^\+?[0-9]+$`),
}

const maxChannelDescription = 1024 // characters

// channels are where alerts go.
type channels struct {
	monitoringpb.UnimplementedNotificationChannelServiceServer
	access *access
	clock  clock
	shelf  *shelf[*monitoringpb.NotificationChannel]
	alerts *alertPolicies
}

func (c *channels) GetNotificationChannel(_ context.Context, req *monitoringpb.GetNotificationChannelRequest) (*monitoringpb.NotificationChannel, error) {
	found, err := c.shelf.get(c.access.canonical(req.GetName()))
	return masked(found), err
}

// masked shows a channel without its secrets.
func masked(c *monitoringpb.NotificationChannel) *monitoringpb.NotificationChannel {
	shown := proto.CloneOf(c)
	for _, key := range secretLabels {
		if value, there := shown.GetLabels()[key]; there {
			shown.Labels[key] = strings.Repeat("*", min(len(value), 8))
		}
	}
	return shown
}

func (c *channels) ListNotificationChannels(_ context.Context, req *monitoringpb.ListNotificationChannelsRequest) (*monitoringpb.ListNotificationChannelsResponse, error) {
	if req.GetFilter() != "" || req.GetOrderBy() != "" {
		return nil, status.Error(codes.Unimplemented, "the local cloud lists every notification channel: leave filter and order_by out")
	}
	all, next, err := c.shelf.below(c.access.canonical(req.GetName())+"/notificationChannels", req.GetPageSize(), req.GetPageToken(), 1000)
	response := &monitoringpb.ListNotificationChannelsResponse{NextPageToken: next}
	for _, one := range all {
		response.NotificationChannels = append(response.NotificationChannels, masked(one))
	}
	return response, err
}

func (c *channels) CreateNotificationChannel(ctx context.Context, req *monitoringpb.CreateNotificationChannelRequest) (*monitoringpb.NotificationChannel, error) {
	made := &monitoringpb.NotificationChannel{}
	if req.GetNotificationChannel() != nil {
		made = proto.CloneOf(req.GetNotificationChannel())
	}
	number, err := newMonitoringNumber()
	if err != nil {
		return nil, err
	}
	made.Name = c.access.canonical(req.GetName()) + "/notificationChannels/" + number
	made.CreationRecord = &monitoringpb.MutationRecord{MutateTime: c.clock.stamp(), MutatedBy: callerOf(ctx).email}
	if err := c.finish("CreateNotificationChannelRequest", made); err != nil {
		return nil, err
	}
	return masked(made), c.shelf.add(made.GetName(), made)
}

func (c *channels) UpdateNotificationChannel(_ context.Context, req *monitoringpb.UpdateNotificationChannelRequest) (*monitoringpb.NotificationChannel, error) {
	name := c.access.canonical(req.GetNotificationChannel().GetName())
	changed, err := c.shelf.change(name, func(old *monitoringpb.NotificationChannel) (*monitoringpb.NotificationChannel, error) {
		next := proto.CloneOf(req.GetNotificationChannel())
		if paths := req.GetUpdateMask().GetPaths(); len(paths) > 0 {
			next = proto.CloneOf(old)
			if err := copyFields(next, req.GetNotificationChannel(), paths); err != nil {
				return nil, err
			}
		}
		next.Name, next.CreationRecord = old.GetName(), old.GetCreationRecord()
		return next, c.finish("UpdateNotificationChannelRequest", next)
	})
	return masked(changed), err
}

func (c *channels) finish(request string, one *monitoringpb.NotificationChannel) error {
	one.VerificationStatus = monitoringpb.NotificationChannel_VERIFICATION_STATUS_UNSPECIFIED
	one.MutationRecords = nil
	if one.GetEnabled() == nil {
		one.Enabled = wrapperspb.Bool(true)
	}
	v := violations{request: request}
	wanted, typed := channelLabels[one.GetType()]
	if !typed {
		v.add("notification_channel.type", "%q is not a type of channel; there are %s", one.GetType(), strings.Join(slices.Sorted(maps.Keys(channelLabels)), ", "))
	}
	for _, key := range wanted {
		value, given := one.GetLabels()[key]
		if !given {
			v.add("notification_channel.labels", "The label %q is required for channels of type %s", key, one.GetType())
		} else if p := labelPatterns[key]; p != nil && !p.MatchString(value) {
			v.add("notification_channel.labels", "Label %q has an invalid value %q", key, value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(one.GetLabels())) {
		if typed && !slices.Contains(wanted, key) {
			v.add("notification_channel.labels", "%q is not a label of channels of type %s", key, one.GetType())
		}
	}
	checkUserLabels(&v, "notification_channel.user_labels", one.GetUserLabels())
	if n := len([]rune(one.GetDisplayName())); n > maxDisplayNameRunes {
		v.add("notification_channel.display_name", "%d characters are too many; the most is %d", n, maxDisplayNameRunes)
	}
	if n := len([]rune(one.GetDescription())); n > maxChannelDescription {
		v.add("notification_channel.description", "%d characters are too many; the most is %d", n, maxChannelDescription)
	}
	return v.err()
}

// DeleteNotificationChannel leaves no policy with a channel that is gone.
func (c *channels) DeleteNotificationChannel(_ context.Context, req *monitoringpb.DeleteNotificationChannelRequest) (*emptypb.Empty, error) {
	name := c.access.canonical(req.GetName())
	// Policies look for channels while they are held, so this does not look for
	// policies while it holds channels.
	if users := c.alerts.users(name); len(users) > 0 && !req.GetForce() {
		return nil, status.Errorf(codes.FailedPrecondition, "Cannot delete notification channel %s. There are alerting policies that are still using it: %s.", name, strings.Join(users, ", "))
	}
	err := c.shelf.remove(name, nil)
	if err == nil {
		c.alerts.forget(name)
	}
	return &emptypb.Empty{}, err
}
