package apis

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// clock tells the time that resources are stamped with.
type clock func() time.Time

func (c clock) stamp() *timestamppb.Timestamp { return timestamppb.New(c()) }
