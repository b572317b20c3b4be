package guard

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Limits bound what one caller may ask of one instance of the server, and what a
// call may cost. A zero field takes its default.
//
// They are counted by caller and not by session, so that they hold where there
// are no sessions. Each instance counts for itself: with n instances, a caller
// may get n times as much.
type Limits struct {
	// CallsPerMinute is how many calls a caller may make in the long run; 120 by
	// default. Burst is how many at once after a pause; 40 by default. A call is of
	// a tool, or reads a resource or a prompt; of what editors ask by themselves, such
	// as lists, completions and pings, a caller has ten times as many, and of requests of
	// HTTP, whatever is in them, twenty times as many.
	CallsPerMinute int `yaml:"calls_per_minute"`
	Burst          int `yaml:"burst"`
	// Concurrent is how many calls of a caller may run at the same time; 8 by
	// default. Streams is the same for event streams, which are subscriptions and
	// sessions of /sse; 16 by default.
	Concurrent int `yaml:"concurrent"`
	Streams    int `yaml:"streams"`
	// ResultBytes is the largest result of a tool, a resource or a prompt, in bytes;
	// 1 MiB by default.
	ResultBytes int `yaml:"result_bytes"`
	// ToolTimeout is how long a tool may take; one minute by default.
	// ToolTimeouts overrides it for single tools.
	ToolTimeout  time.Duration            `yaml:"tool_timeout"`
	ToolTimeouts map[string]time.Duration `yaml:"tool_timeouts"`
}

// Check gives every value that no server can work with.
func (l Limits) Check() error {
	var problems []error
	for _, field := range []struct {
		name  string
		value int
	}{
		{"calls_per_minute", l.CallsPerMinute}, {"burst", l.Burst}, {"concurrent", l.Concurrent},
		{"streams", l.Streams}, {"result_bytes", l.ResultBytes},
	} {
		if field.value < 0 {
			problems = append(problems, fmt.Errorf("limits.%s: %d is below zero: use a number from 1, or leave it out", field.name, field.value))
		}
	}
	if l.ToolTimeout < 0 {
		problems = append(problems, fmt.Errorf("limits.tool_timeout: %s is below zero: use a time such as 30s, or leave it out", l.ToolTimeout))
	}
	for name, timeout := range l.ToolTimeouts {
		if timeout <= 0 {
			problems = append(problems, fmt.Errorf("limits.tool_timeouts.%s: %s is no time to work in: use one such as 30s", name, timeout))
		}
	}
	return errors.Join(problems...)
}

func (l Limits) withDefaults() Limits {
	l.CallsPerMinute = cmp.Or(l.CallsPerMinute, 120)
	l.Burst = cmp.Or(l.Burst, 40)
	l.Concurrent = cmp.Or(l.Concurrent, 8)
	l.Streams = cmp.Or(l.Streams, 16)
	l.ResultBytes = cmp.Or(l.ResultBytes, 1<<20)
	l.ToolTimeout = cmp.Or(l.ToolTimeout, time.Minute)
	return l
}
