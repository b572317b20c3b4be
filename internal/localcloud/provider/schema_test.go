package provider

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Every property of the SDK must reach a field of the API, or be known not to.
// A property that no rename covers would be lost without a word.
func TestEveryInputReachesAFieldOfTheAPI(t *testing.T) {
	for token, tc := range map[string]struct {
		message protoreflect.ProtoMessage
		fields  int // at least this many are found: the walk does see them
	}{
		serviceToken:    {&runpb.Service{}, 100},
		repositoryToken: {&artifactregistrypb.Repository{}, 40},
		accountToken:    {&adminpb.ServiceAccount{}, 3},
	} {
		t.Run(token, func(t *testing.T) {
			rt := resourceTypes()[token]
			require.NotNil(t, rt)
			m := mapping{traits: rt.traits}
			for _, name := range rt.inputs.names() {
				if rt.traits[name].place == inBody && !rt.managesAside(name) {
					m.property(name, name, rt.inputs.props[name].schema, tc.message.ProtoReflect().Descriptor())
				}
			}
			assert.Empty(t, m.lost, "these properties have no field in %s", tc.message.ProtoReflect().Descriptor().FullName())
			assert.GreaterOrEqual(t, m.found, tc.fields)
		})
	}
}

// mapping walks the SDK's shape and the proto's side by side, as putAPI does.
type mapping struct {
	traits traits
	lost   []string
	found  int
}

func (m *mapping) property(path, name string, s *schema, in protoreflect.MessageDescriptor) {
	field := in.Fields().ByJSONName(m.traits.apiNameOf(path, name))
	if field == nil {
		m.lost = append(m.lost, path)
		return
	}
	m.found++
	form := m.traits[path].form
	switch {
	case form == mapByKey:
		m.expect(path, field.IsMap() && s.kind == listKind)
		m.value(element(path), s.elem, field.MapValue())
	case form == oneOfList:
		m.expect(path, !field.IsList() && s.kind == listKind)
		m.value(element(path), s.elem, field)
	case form == listOfOne:
		m.expect(path, field.IsList() && s.kind == objectKind)
		m.value(path, s, field)
	case s.kind == listKind:
		m.expect(path, field.IsList())
		m.value(element(path), s.elem, field)
	case s.kind == mapKind:
		m.expect(path, field.IsMap())
	default:
		m.expect(path, !field.IsList() && !field.IsMap())
		m.value(path, s, field)
	}
}

// value is one value of a field: the field itself, or its element.
func (m *mapping) value(path string, s *schema, field protoreflect.FieldDescriptor) {
	if s.kind != objectKind {
		m.expect(path, wellFormed(s.kind, field))
		return
	}
	if field.Message() == nil {
		m.expect(path, false)
		return
	}
	for _, name := range s.names() {
		m.property(child(path, name), name, s.props[name].schema, field.Message())
	}
}

func (m *mapping) expect(path string, ok bool) {
	if !ok {
		m.lost = append(m.lost, path+" (of another shape)")
	}
}

func wellFormed(k kind, field protoreflect.FieldDescriptor) bool {
	switch k {
	case boolKind:
		return field.Kind() == protoreflect.BoolKind
	case integerKind, numberKind:
		return slices.Contains([]protoreflect.Kind{protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind}, field.Kind())
	case stringKind: // durations, timestamps and enums are strings in JSON
		return field.Kind() == protoreflect.StringKind || field.Kind() == protoreflect.EnumKind || field.Message() != nil
	default:
		return false
	}
}

// A trait whose path is misspelt does nothing, so none may be.
func TestEveryTraitIsOfAPropertyThatTheSDKHas(t *testing.T) {
	for token, rt := range resourceTypes() {
		for _, path := range slices.Sorted(maps.Keys(rt.traits)) {
			assert.True(t, exists(rt.inputs, path) || exists(rt.outputs, path), "%s has no %s", token, path)
		}
	}
}

func exists(s *schema, path string) bool {
	for _, part := range strings.Split(path, ".") {
		name, _, _ := strings.Cut(part, "[]")
		name, entry := strings.CutSuffix(name, "{}")
		prop, ok := s.props[name]
		if !ok {
			return false
		}
		s = prop.schema
		if entry || strings.HasSuffix(part, "[]") {
			s = s.elem
		}
		if s == nil {
			return false
		}
	}
	return true
}

func TestSchemaComesFromTheSDK(t *testing.T) {
	service := resourceTypes()[serviceToken]
	assert.True(t, service.inputs.props["location"].required)
	assert.True(t, service.inputs.props["template"].required)
	assert.False(t, service.inputs.props["name"].required)
	containers := service.inputs.props["template"].props["containers"]
	assert.Equal(t, listKind, containers.kind)
	assert.True(t, containers.elem.props["image"].required)
	assert.Equal(t, integerKind, containers.elem.props["ports"].props["containerPort"].kind)
	assert.Equal(t, mapKind, containers.elem.props["resources"].props["limits"].kind)
	assert.Contains(t, service.outputs.names(), "uri")
	assert.NotContains(t, service.outputs.names(), "id")
	assert.NotContains(t, service.inputs.names(), "uri")
}
