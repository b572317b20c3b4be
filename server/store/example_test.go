package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/berth-mcp/berth/server/store"
)

// A write names the version that it replaces, so that nobody's change is lost.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(dir, "acme", "") // or gs://BUCKET
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	first, err := s.Write(ctx, "goals/G1.yaml", []byte("one"), "")
	if err != nil {
		panic(err)
	}
	if _, err := s.Write(ctx, "goals/G1.yaml", []byte("two"), first); err != nil {
		panic(err)
	}
	_, err = s.Write(ctx, "goals/G1.yaml", []byte("late"), first)
	fmt.Println(errors.Is(err, store.ErrConflict))
	data, _, err := s.Read(ctx, "goals/G1.yaml")
	fmt.Println(string(data), err)
	// Output:
	// true
	// two <nil>
}
