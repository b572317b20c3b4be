package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/storage/v1"
)

// bucket is a store in a Cloud Storage bucket. A document's version is its
// object's generation, which Cloud Storage compares when it replaces one.
type bucket struct {
	name, prefix string
	// service is made when it is first needed: finding credentials takes longer
	// than starting the server may.
	service func() (*storage.Service, error)
}

func newBucket(name, client, endpoint string) *bucket {
	return &bucket{
		name:   name,
		prefix: "clients/" + client + "/",
		service: sync.OnceValues(func() (*storage.Service, error) {
			options := []option.ClientOption{option.WithScopes(storage.DevstorageReadWriteScope)}
			if endpoint != "" {
				options = append(options, option.WithEndpoint(strings.TrimSuffix(endpoint, "/")+"/"))
			}
			return storage.NewService(context.Background(), options...)
		}),
	}
}

func (b *bucket) String() string { return "gs://" + b.name + "/" + b.prefix }

func (b *bucket) List(ctx context.Context) ([]Entry, error) {
	service, err := b.service()
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", b, err)
	}
	var entries []Entry
	err = service.Objects.List(b.name).Prefix(b.prefix).Fields("nextPageToken", "items(name,generation)").
		Pages(ctx, func(page *storage.Objects) error {
			for _, object := range page.Items {
				if name := strings.TrimPrefix(object.Name, b.prefix); checkName(name) == nil {
					entries = append(entries, Entry{Name: name, Version: generation(object.Generation)})
				}
			}
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", b, missing(explain(err)))
	}
	return entries, nil
}

func (b *bucket) Read(ctx context.Context, name string) ([]byte, Version, error) {
	if err := checkName(name); err != nil {
		return nil, "", err
	}
	service, err := b.service()
	if err != nil {
		return nil, "", fmt.Errorf("reading %s%s: %w", b, name, err)
	}
	response, err := service.Objects.Get(b.name, b.prefix+name).Context(ctx).Download()
	if err != nil {
		return nil, "", fmt.Errorf("reading %s%s: %w", b, name, explain(err))
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, MaxDocument+1))
	if err != nil {
		return nil, "", fmt.Errorf("reading %s%s: %w", b, name, err)
	}
	if err := checkSize(name, len(data)); err != nil {
		return nil, "", err
	}
	version := response.Header.Get("X-Goog-Generation")
	if version == "" {
		return nil, "", fmt.Errorf("reading %s%s: the answer does not say which generation it is", b, name)
	}
	return data, Version(version), nil
}

func (b *bucket) Write(ctx context.Context, name string, data []byte, replaced Version) (Version, error) {
	if err := errors.Join(checkName(name), checkSize(name, len(data))); err != nil {
		return "", err
	}
	service, err := b.service()
	if err != nil {
		return "", fmt.Errorf("writing %s%s: %w", b, name, err)
	}
	var before int64 // 0: it must not exist
	if replaced != "" {
		if before, err = strconv.ParseInt(string(replaced), 10, 64); err != nil {
			return "", fmt.Errorf("writing %s%s: %q is no generation", b, name, replaced)
		}
	}
	written, err := service.Objects.Insert(b.name, &storage.Object{Name: b.prefix + name, ContentType: "application/yaml"}).
		IfGenerationMatch(before).Media(bytes.NewReader(data), googleapi.ContentType("application/yaml"), googleapi.ChunkSize(0)).
		Context(ctx).Do()
	if err != nil {
		return "", fmt.Errorf("writing %s%s: %w", b, name, missing(explain(err)))
	}
	return generation(written.Generation), nil
}

func generation(n int64) Version { return Version(strconv.FormatInt(n, 10)) }

// explain turns Cloud Storage's answers into the store's errors.
func explain(err error) error {
	var answer *googleapi.Error
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.Code {
	case http.StatusNotFound:
		return ErrNotExist
	case http.StatusPreconditionFailed:
		return ErrConflict
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("the bucket refuses this server's account (%d): grant it roles/storage.objectUser on the bucket", answer.Code)
	}
	return err
}

// missing says what is not there where no object was asked for.
func missing(err error) error {
	if errors.Is(err, ErrNotExist) {
		return errors.New("there is no such bucket")
	}
	return err
}
