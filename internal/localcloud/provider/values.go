package provider

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// Unknown values stay unknown. Secrets are unwrapped: the engine keeps track of
// them for a provider that does not accept them (see Configure).
var wire = plugin.MarshalOptions{KeepUnknowns: true, SkipNulls: true, RejectAssets: true}

func unmarshal(s *structpb.Struct) (resource.PropertyMap, error) {
	props, err := plugin.UnmarshalProperties(s, wire)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "reading the engine's properties: %v", err)
	}
	return props, nil
}

func marshal(props resource.PropertyMap) (*structpb.Struct, error) {
	s, err := plugin.MarshalProperties(props, wire)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "writing properties for the engine: %v", err)
	}
	return s, nil
}

func isUnknown(v resource.PropertyValue) bool { return v.IsComputed() || v.IsOutput() }

var unknown = resource.MakeComputed(resource.NewStringProperty(""))

// isZero tells what the plugin cannot tell from a property that was never given.
// An object is never zero: that it is there says something.
func isZero(v resource.PropertyValue) bool {
	switch {
	case v.IsNull():
		return true
	case v.IsBool():
		return !v.BoolValue()
	case v.IsNumber():
		return v.NumberValue() == 0
	case v.IsString():
		return v.StringValue() == ""
	case v.IsArray():
		return len(v.ArrayValue()) == 0
	default:
		return false
	}
}

// heard is null for the word that means silence.
func (t trait) heard(v resource.PropertyValue) resource.PropertyValue {
	if t.silence != "" && v.IsString() && v.StringValue() == t.silence {
		return resource.NewNullProperty()
	}
	return v
}

// text is the string at key, or "".
func text(props resource.PropertyMap, key string) string {
	if v, ok := props[resource.PropertyKey(key)]; ok && v.IsString() {
		return v.StringValue()
	}
	return ""
}

func setText(props resource.PropertyMap, key, value string) {
	props[resource.PropertyKey(key)] = resource.NewStringProperty(value)
}

// isTrue tells whether the boolean at key is there and true.
func isTrue(props resource.PropertyMap, key string) bool {
	v, ok := props[resource.PropertyKey(key)]
	return ok && v.IsBool() && v.BoolValue()
}

// objectAt is the map at key, or an empty one.
func objectAt(props resource.PropertyMap, key string) resource.PropertyMap {
	if v, ok := props[resource.PropertyKey(key)]; ok && v.IsObject() {
		return v.ObjectValue()
	}
	return resource.PropertyMap{}
}

// kindOf names a value's kind for a person.
func kindOf(v resource.PropertyValue) string {
	switch {
	case v.IsBool():
		return "a boolean"
	case v.IsNumber():
		return "a number"
	case v.IsString():
		return "a string"
	case v.IsArray():
		return "a list"
	case v.IsObject():
		return "an object"
	default:
		return fmt.Sprintf("a %s", v.TypeString())
	}
}
