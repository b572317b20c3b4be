package apis

import (
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// copyFields copies what the paths of a mask name from one message to another
// of its type. A field that from does not have is cleared.
func copyFields(to, from proto.Message, paths []string) error {
	for _, path := range paths {
		if err := copyField(to.ProtoReflect(), from.ProtoReflect(), strings.Split(path, ".")); err != nil {
			return status.Errorf(codes.InvalidArgument, "update_mask: %q: %v", path, err)
		}
	}
	return nil
}

func copyField(to, from protoreflect.Message, path []string) error {
	field := to.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if field == nil {
		field = to.Descriptor().Fields().ByJSONName(path[0])
	}
	if field == nil {
		return fmt.Errorf("%s has no field %q", to.Descriptor().Name(), path[0])
	}
	if len(path) > 1 {
		if field.Message() == nil || field.IsList() || field.IsMap() {
			return fmt.Errorf("nothing can be named below %q", path[0])
		}
		return copyField(to.Mutable(field).Message(), from.Get(field).Message(), path[1:])
	}
	if !from.Has(field) {
		to.Clear(field)
		return nil
	}
	// Cloning the parent gives a value that shares nothing with from.
	to.Set(field, proto.Clone(from.Interface()).ProtoReflect().Get(field))
	return nil
}

// clearOutputOnly removes what only the API may fill in, at every depth: the
// protos say which fields these are.
func clearOutputOnly(m proto.Message) { clearOutputs(m.ProtoReflect()) }

func clearOutputs(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case isOutputOnly(field):
			m.Clear(field)
		case field.IsMap() || field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				clearOutputs(value.List().Get(i).Message())
			}
		default:
			clearOutputs(value.Message())
		}
		return true
	})
}

func isOutputOnly(field protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	for _, b := range behaviors {
		if b == annotations.FieldBehavior_OUTPUT_ONLY {
			return true
		}
	}
	return false
}

// restoreOutputs gives m the output-only fields of old again, at the top level:
// whatever a caller sends there is ignored.
func restoreOutputs(m, old proto.Message) {
	to, from := m.ProtoReflect(), old.ProtoReflect()
	fields := to.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case !isOutputOnly(field):
		case from.Has(field):
			to.Set(field, from.Get(field))
		default:
			to.Clear(field)
		}
	}
}
