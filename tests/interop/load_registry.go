package main

import (
	"context"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/networkservicemesh/api/pkg/api/registry"

	"github.com/networkservicemesh/sdk/pkg/registry/common/grpcmetadata"
	"github.com/networkservicemesh/sdk/pkg/registry/core/chain"
	"github.com/networkservicemesh/sdk/pkg/tools/grpcutils"
)

// runRegistryLoad registers NSM_CLIENTS times NSM_ROUNDS endpoints at the registry, finds each by its name, and unregisters them.
func runRegistryLoad(_ context.Context, config *settings, secured *security) (func(), error) {
	cc, err := grpc.NewClient(grpcutils.URLToTarget(&config.ConnectTo), secured.dial...)
	if err != nil {
		return nil, err
	}
	endpoints := chain.NewNetworkServiceEndpointRegistryClient(
		grpcmetadata.NewNetworkServiceEndpointRegistryClient(),
		registry.NewNetworkServiceEndpointRegistryClient(cc),
	)
	entry := func(i, round int) *registry.NetworkServiceEndpoint {
		return &registry.NetworkServiceEndpoint{
			Name:                fmt.Sprintf("load-%d-%d", i, round),
			NetworkServiceNames: []string{fmt.Sprintf("load-%d", i)},
			Url:                 "tcp://127.0.0.1:1",
		}
	}
	register := func(i, round int) error {
		_, err := endpoints.Register(newPath(), entry(i, round))
		return err
	}
	find := func(i, round int) error {
		query := &registry.NetworkServiceEndpointQuery{
			NetworkServiceEndpoint: &registry.NetworkServiceEndpoint{Name: entry(i, round).GetName()},
		}
		stream, err := endpoints.Find(context.Background(), query)
		if err != nil {
			return err
		}
		for found := 0; ; found++ {
			if _, err := stream.Recv(); err == io.EOF && found == 1 {
				return nil
			} else if err != nil {
				return fmt.Errorf("%d found: %w", found, err)
			}
		}
	}
	unregister := func(i, round int) error {
		_, err := endpoints.Unregister(newPath(), entry(i, round))
		return err
	}
	for _, phase := range []struct {
		name string
		step func(i, round int) error
	}{{"register", register}, {"find", find}, {"unregister", unregister}} {
		if err := measure(phase.name, config, phase.step); err != nil {
			return nil, fmt.Errorf("%s: %w", phase.name, err)
		}
	}
	return func() {}, nil
}

// newPath is the context of a call that begins a path.
func newPath() context.Context {
	return grpcmetadata.PathWithContext(context.Background(), &grpcmetadata.Path{})
}
