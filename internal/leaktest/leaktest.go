// Package leaktest finds goroutines that a package's tests leave behind.
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long what has been told to stop may take to end, on a machine that does
// many other things. goleak by itself waits for less than half a second.
const patience = time.Minute

// Main runs the tests and returns the exit code of the process. It is not 0 if a test has
// failed, or if goroutines are left in the end.
func Main(m *testing.M, ignored ...goleak.Option) int {
	code := m.Run()
	if code != 0 {
		return code
	}
	if err := Find(ignored...); err != nil {
		fmt.Fprintln(os.Stderr, "the tests have passed, but left something behind:", err)
		return 1
	}
	return 0
}

// Find returns an error that names the goroutines which do not end, if there are any.
func Find(ignored ...goleak.Option) error {
	return findWithin(patience, ignored...)
}

func findWithin(patience time.Duration, ignored ...goleak.Option) error {
	for end := time.Now().Add(patience); ; {
		err := goleak.Find(ignored...)
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
