package provider

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

type kind int

const (
	boolKind kind = iota
	integerKind
	numberKind
	stringKind
	listKind
	mapKind
	objectKind
)

func (k kind) String() string {
	return [...]string{"boolean", "whole number", "number", "string", "list", "map", "object"}[k]
}

// schema is the shape of a value, as the SDK declares it.
type schema struct {
	kind  kind
	elem  *schema             // of a list or a map
	props map[string]property // of an object
}

type property struct {
	*schema
	required bool
}

// names are an object's property names, sorted, so that whatever walks them
// does so in the same order each time.
func (s *schema) names() []string {
	names := make([]string, 0, len(s.props))
	for name := range s.props {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// elementTyper is what every ...Args and every Output of the SDK implements.
type elementTyper interface{ ElementType() reflect.Type }

// inputSchema is the shape of a resource's inputs. args is the SDK's exported
// args struct, such as cloudrunv2.ServiceArgs{}; its ElementType is the plain
// struct whose fields carry the property names. There, a pointer is optional, a
// scalar or a struct is required, and a slice or a map says nothing.
func inputSchema(args elementTyper) *schema {
	t := args.ElementType()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return schemaOf(t)
}

// outputSchema is the shape of a resource's state. res is the SDK's resource
// struct, such as cloudrunv2.Service{}, whose fields are Outputs.
func outputSchema(res any) *schema {
	s := &schema{kind: objectKind, props: map[string]property{}}
	for _, f := range reflect.VisibleFields(reflect.TypeOf(res)) {
		name, tagged := f.Tag.Lookup("pulumi")
		output, ok := reflect.Zero(f.Type).Interface().(pulumi.Output)
		if !tagged || !ok || len(f.Index) > 1 {
			continue // the id and the URN, which the engine keeps itself
		}
		s.props[name] = property{schema: schemaOf(output.ElementType())}
	}
	return s
}

func schemaOf(t reflect.Type) *schema {
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Bool:
		return &schema{kind: boolKind}
	case reflect.Int:
		return &schema{kind: integerKind}
	case reflect.Float64:
		return &schema{kind: numberKind}
	case reflect.String:
		return &schema{kind: stringKind}
	case reflect.Slice:
		return &schema{kind: listKind, elem: schemaOf(t.Elem())}
	case reflect.Map:
		return &schema{kind: mapKind, elem: schemaOf(t.Elem())}
	case reflect.Struct:
		s := &schema{kind: objectKind, props: map[string]property{}}
		for _, f := range reflect.VisibleFields(t) {
			name, tagged := f.Tag.Lookup("pulumi")
			if !tagged {
				continue
			}
			s.props[name] = property{schema: schemaOf(f.Type), required: alwaysThere(f.Type)}
		}
		return s
	default:
		// The SDK is compiled in: a kind that is not handled is a mistake in
		// this package, seen by the first test that loads the type.
		panic(fmt.Sprintf("no property schema for %s", t))
	}
}

func alwaysThere(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return false
	default:
		return true
	}
}
