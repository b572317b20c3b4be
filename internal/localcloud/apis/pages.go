package apis

import (
	"slices"
	"sort"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// page cuts one page out of a list that is sorted by name. A page token is the
// name of the last item that the caller has seen.
func page[T any](all []T, name func(T) string, size int32, token string, most int) ([]T, string, error) {
	if size < 0 {
		return nil, "", status.Errorf(codes.InvalidArgument, "page_size %d is negative; leave it out for the default", size)
	}
	limit := int(size)
	if limit == 0 || limit > most {
		limit = most
	}
	first := sort.Search(len(all), func(i int) bool { return name(all[i]) > token })
	rest := all[first:]
	if len(rest) <= limit {
		return rest, "", nil
	}
	return rest[:limit], name(rest[limit-1]), nil
}

func sortByName[T any](all []T, name func(T) string) {
	slices.SortFunc(all, func(x, y T) int { return strings.Compare(name(x), name(y)) })
}
