package main

import (
	"context"

	"google.golang.org/grpc"

	"github.com/networkservicemesh/sdk/pkg/registry/chains/memory"
)

// runRegistry is upstream's memory registry.
func runRegistry(ctx context.Context, config *settings, secured *security) (func(), error) {
	registry := memory.NewServer(ctx, secured.tokens,
		memory.WithAuthorizeNSRegistryServer(secured.authorizeServiceServer()),
		memory.WithAuthorizeNSERegistryServer(secured.authorizeEndpointServer()),
		memory.WithAuthorizeNSRegistryClient(secured.authorizeServiceClient()),
		memory.WithAuthorizeNSERegistryClient(secured.authorizeEndpointClient()),
		memory.WithDefaultExpiration(config.ExpirePeriod),
		memory.WithDialOptions(secured.dial...),
	)
	return func() {}, listen(ctx, config, func(server *grpc.Server) { registry.Register(server) }, secured)
}
