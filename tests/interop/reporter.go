package main

import (
	"context"
	"sync"

	"github.com/golang/protobuf/ptypes/empty"
	"google.golang.org/grpc"

	"github.com/networkservicemesh/api/pkg/api/networkservice"

	"github.com/networkservicemesh/sdk/pkg/networkservice/core/next"
)

// reporter is a chain element that prints what becomes of each Request of a client.
type reporter struct {
	known sync.Map
}

func (r *reporter) Request(ctx context.Context, request *networkservice.NetworkServiceRequest, opts ...grpc.CallOption) (*networkservice.Connection, error) {
	id := request.GetConnection().GetId()
	reselecting := request.GetConnection().GetState() == networkservice.State_RESELECT_REQUESTED
	conn, err := next.Client(ctx).Request(ctx, request, opts...)
	if err != nil {
		say.Warn(err.Error(), "connection", id)
		return nil, err
	}
	if _, known := r.known.Swap(id, true); known {
		what := "refreshed"
		if reselecting {
			what = "healed"
		}
		say.Info(what, facts(conn)...)
	}
	return conn, nil
}

func (r *reporter) Close(ctx context.Context, conn *networkservice.Connection, opts ...grpc.CallOption) (*empty.Empty, error) {
	return next.Client(ctx).Close(ctx, conn, opts...)
}

// facts are the fields by which a wire is known.
func facts(conn *networkservice.Connection) []any {
	path := []string{}
	for _, segment := range conn.GetPath().GetPathSegments() {
		path = append(path, segment.GetName())
	}
	return []any{
		"connection", conn.GetId(),
		"service", conn.GetNetworkService(),
		"endpoint", conn.GetNetworkServiceEndpointName(),
		"interface", conn.GetMechanism().GetParameters()["name"],
		"addresses", conn.GetContext().GetIpContext().GetSrcIpAddrs(),
		"peer", conn.GetContext().GetIpContext().GetDstIpAddrs(),
		"path", path,
	}
}
