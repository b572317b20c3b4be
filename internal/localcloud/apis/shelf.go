package apis

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// shelf keeps objects of one kind by their full names. Objects are replaced,
// never changed.
type shelf[T any] struct {
	kind string // as Google's messages call it

	mu     sync.Mutex
	byName map[string]T
}

func newShelf[T any](kind string) *shelf[T] { return &shelf[T]{kind: kind, byName: map[string]T{}} }

func (s *shelf[T]) get(name string) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(name)
}

// find is get; s.mu is held.
func (s *shelf[T]) find(name string) (T, error) {
	found, ok := s.byName[name]
	if !ok {
		return found, status.Errorf(codes.NotFound, "%s %s does not exist.", s.kind, name)
	}
	return found, nil
}

func (s *shelf[T]) has(name string) bool {
	_, err := s.get(name)
	return err == nil
}

// add puts a new object there.
func (s *shelf[T]) add(name string, one T) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.byName[name]; there {
		return status.Errorf(codes.AlreadyExists, "%s %s already exists.", s.kind, name)
	}
	s.byName[name] = one
	return nil
}

// change replaces an object by what next makes of it.
func (s *shelf[T]) change(name string, next func(T) (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.find(name)
	if err != nil {
		return old, err
	}
	changed, err := next(old)
	if err == nil {
		s.byName[name] = changed
	}
	return changed, err
}

// remove takes an object away, unless may, which may be nil, refuses.
func (s *shelf[T]) remove(name string, may func(T) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.find(name)
	if err == nil && may != nil {
		err = may(found)
	}
	if err == nil {
		delete(s.byName, name)
	}
	return err
}

// names of all objects, sorted.
func (s *shelf[T]) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.byName))
}

// below gives one page of the objects whose names begin with a parent's.
func (s *shelf[T]) below(parent string, size int32, token string, most int) ([]T, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(s.byName)), func(name string) bool { return !strings.HasPrefix(name, parent+"/") })
	shown, next, err := page(names, func(name string) string { return name }, size, token, most)
	var objects []T
	for _, name := range shown {
		objects = append(objects, s.byName[name])
	}
	return objects, next, err
}

// inventory is the names of all objects, as the API's.
func (s *shelf[T]) inventory(api string) []string {
	names := s.names()
	for i := range names {
		names[i] = "//" + api + "/" + names[i]
	}
	return names
}
