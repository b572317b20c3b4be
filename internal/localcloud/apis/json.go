package apis

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"connectrpc.com/vanguard"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// bodyFields are the request fields that a REST body is, for those messages
// that are a body by themselves. Google's errors begin paths with them.
var bodyFields = map[protoreflect.FullName]string{
	"google.cloud.run.v2.Service":                         "service",
	"google.cloud.secretmanager.v1.Secret":                "secret",
	"google.devtools.artifactregistry.v1.Repository":      "repository",
	"google.devtools.artifactregistry.v1.VPCSCConfig":     "vpcsc_config",
	"google.devtools.artifactregistry.v1.ProjectSettings": "project_settings",
	"google.cloud.billing.budgets.v1.Budget":              "budget",
	"google.monitoring.dashboard.v1.Dashboard":            "dashboard",
	"google.monitoring.v3.AlertPolicy":                    "alert_policy",
	"google.monitoring.v3.NotificationChannel":            "notification_channel",
	"google.logging.v2.LogBucket":                         "bucket",
	"google.logging.v2.LogMetric":                         "metric",
	"google.logging.v2.LogSink":                           "sink",
}

// badJSON begins what Google says of a body that it cannot read.
const badJSON = "Invalid JSON payload received."

// jsonCodec reads and writes JSON as Google's REST does: names that a message
// does not have are errors, and empty fields are left out.
type jsonCodec struct{ vanguard.JSONCodec }

func newJSONCodec(types vanguard.TypeResolver) vanguard.Codec {
	return jsonCodec{vanguard.JSONCodec{
		MarshalOptions:   protojson.MarshalOptions{Resolver: types},
		UnmarshalOptions: protojson.UnmarshalOptions{Resolver: types},
	}}
}

func (c jsonCodec) Unmarshal(data []byte, m proto.Message) error {
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return fmt.Errorf("%s %w", badJSON, err)
	}
	descriptor := m.ProtoReflect().Descriptor()
	if unknown := unknownNames(tree, descriptor, bodyFields[descriptor.FullName()]); len(unknown) > 0 {
		slices.Sort(unknown)
		return errors.New(strings.Join(unknown, "\n"))
	}
	if err := c.JSONCodec.Unmarshal(data, m); err != nil {
		return fmt.Errorf("%s %s", badJSON, plain(err))
	}
	return nil
}

// plain takes protojson's prefix away, whose space varies on purpose.
func plain(err error) string {
	return strings.TrimLeftFunc(strings.TrimPrefix(err.Error(), "proto:"), unicode.IsSpace)
}

// unknownNames walks JSON beside the message that it shall become.
func unknownNames(tree any, message protoreflect.MessageDescriptor, path string) []string {
	object, ok := tree.(map[string]any)
	if !ok || strings.HasPrefix(string(message.FullName()), "google.protobuf.") {
		return nil
	}
	var unknown []string
	for name, value := range object {
		field := message.Fields().ByJSONName(name)
		if field == nil {
			field = message.Fields().ByName(protoreflect.Name(name))
		}
		if field == nil {
			unknown = append(unknown, unknownName(name, path))
			continue
		}
		unknown = append(unknown, unknownBelow(value, field, join(path, string(field.Name())))...)
	}
	return unknown
}

func unknownBelow(value any, field protoreflect.FieldDescriptor, path string) []string {
	var unknown []string
	switch {
	case field.IsMap() && field.MapValue().Message() != nil:
		entries, _ := value.(map[string]any)
		for key, entry := range entries {
			unknown = append(unknown, unknownNames(entry, field.MapValue().Message(), join(path, "value["+key+"]"))...)
		}
	case field.IsMap() || field.Message() == nil:
	case field.IsList():
		items, _ := value.([]any)
		for i, item := range items {
			unknown = append(unknown, unknownNames(item, field.Message(), fmt.Sprintf("%s[%d]", path, i))...)
		}
	default:
		unknown = unknownNames(value, field.Message(), path)
	}
	return unknown
}

func unknownName(name, path string) string {
	at := ""
	if path != "" {
		at = fmt.Sprintf(" at '%s'", path)
	}
	return fmt.Sprintf("%s Unknown name %q%s: Cannot find field.", badJSON, name, at)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
