package apis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

func TestEveryRuleIsForAMethodAndNamesAStringOfItsRequest(t *testing.T) {
	for method, r := range rules {
		t.Run(strings.TrimPrefix(method, "/"), func(t *testing.T) {
			name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
			found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
			require.NoError(t, err)
			message := found.(protoreflect.MethodDescriptor).Input()
			var field protoreflect.FieldDescriptor
			for _, part := range strings.Split(r.field, ".") {
				require.NotNil(t, message)
				field = message.Fields().ByName(protoreflect.Name(part))
				require.NotNil(t, field, "%s has no field %s", message.FullName(), part)
				message = field.Message()
			}
			assert.Equal(t, protoreflect.StringKind, field.Kind())
			if r.api != "" {
				assert.Contains(t, knownAPIs, r.api)
			}
		})
	}
}

func TestQuantities(t *testing.T) {
	for quantity, want := range map[string]int64{"1": 1000, "1000m": 1000, "0.5": 500, "80m": 80, "8": 8000} {
		got, err := parseCPU(quantity)
		require.NoError(t, err, quantity)
		assert.Equal(t, want, got, quantity)
	}
	for quantity, want := range map[string]int64{"512Mi": 512 << 20, "2Gi": 2 << 30, "1G": 1e9, "0.5Gi": 512 << 20, "1024": 1024} {
		got, err := parseMemory(quantity)
		require.NoError(t, err, quantity)
		assert.Equal(t, want, got, quantity)
	}
	for _, quantity := range []string{"", "-1", "1e3", "m", "1.m", "lots", strings.Repeat("9", 400)} {
		_, err := parseCPU(quantity)
		assert.Error(t, err, quantity)
		_, err = parseMemory(quantity)
		assert.Error(t, err, quantity)
	}
}

func TestTheOldestOperationsThatEndedAreForgottenFirst(t *testing.T) {
	o := newOperations()
	o.start("operations/under-way", nil)
	for range maxOperations + 5 {
		o.finished("operations/"+newUUID(), nil, nil)
	}
	assert.LessOrEqual(t, len(o.byName), maxOperations)
	assert.Contains(t, o.byName, "operations/under-way")
}
