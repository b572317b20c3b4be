# syntax=docker/dockerfile:1
#
# The sample server as a container, for people who build with Docker:
#
#   docker build -t berth-server .
#   docker run --rm -p 127.0.0.1:8080:8080 \
#     -e BERTH_CLIENT=acme -e BERTH_IDENTITY=dev \
#     -e BERTH_LISTEN=0.0.0.0 -e BERTH_DEV_ALLOW_ANYONE=true berth-server
#
# BERTH_IDENTITY has no default on purpose: a server that has not been told how
# to know its callers does not start.
#
# A tag can be moved to another image. To build with exactly one, name it by digest:
#
#   docker buildx imagetools inspect golang:1.26.8
#   docker build --build-arg GO_IMAGE=golang@sha256:DIGEST -t berth-server .

# The go directive of go.mod, which go itself enforces on any other image.
ARG GO_VERSION=1.26.8
ARG GO_IMAGE=golang:${GO_VERSION}

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
COPY server ./server
COPY internal/ascii ./internal/ascii
COPY internal/plaintext ./internal/plaintext
# No `go mod download`: it would fetch the modules of the whole project, of
# which the server needs a few.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags='-s -w' -o /out/server ./server

FROM scratch
COPY --from=build /out/server /server
# The port that Cloud Run expects unless it says otherwise.
ENV PORT=8080
EXPOSE 8080
# Nobody in particular, and not root.
USER 65532:65532
ENTRYPOINT ["/server"]
