package main

import (
	"context"

	"github.com/golang/protobuf/ptypes/empty"
	"google.golang.org/grpc"

	"github.com/networkservicemesh/api/pkg/api/networkservice"

	"github.com/networkservicemesh/sdk/pkg/networkservice/core/next"
)

// offer is a chain element that adds a mechanism to those a forwarder prefers towards its next hop.
type offer struct {
	mechanism *networkservice.Mechanism
}

func (o *offer) Request(ctx context.Context, request *networkservice.NetworkServiceRequest, opts ...grpc.CallOption) (*networkservice.Connection, error) {
	request.MechanismPreferences = append(request.GetMechanismPreferences(), o.mechanism.Clone())
	return next.Client(ctx).Request(ctx, request, opts...)
}

func (o *offer) Close(ctx context.Context, conn *networkservice.Connection, opts ...grpc.CallOption) (*empty.Empty, error) {
	return next.Client(ctx).Close(ctx, conn, opts...)
}
