package apis

import (
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// detailed is a status with details, as Google's clients read them.
func detailed(code codes.Code, message string, details ...protoadapt.MessageV1) error {
	s, err := status.New(code, message).WithDetails(details...)
	if err != nil { // only for details that cannot be marshalled
		return status.Error(code, message)
	}
	return s.Err()
}

// violations are what is wrong with a request, all of it.
type violations struct {
	request string // the message's name, which Google puts before each path
	found   []*errdetails.BadRequest_FieldViolation
}

func (v *violations) add(field, format string, args ...any) {
	v.found = append(v.found, &errdetails.BadRequest_FieldViolation{
		Field: v.request + "." + field, Description: fmt.Sprintf(format, args...),
	})
}

func (v *violations) err() error {
	if len(v.found) == 0 {
		return nil
	}
	lines := make([]string, len(v.found))
	for i, f := range v.found {
		lines[i] = fmt.Sprintf("Violation in %s: %s", f.GetField(), strings.TrimSuffix(f.GetDescription(), ".")+".")
	}
	return detailed(codes.InvalidArgument, strings.Join(lines, "\n"), &errdetails.BadRequest{FieldViolations: v.found})
}
