package main

import (
	"context"

	"google.golang.org/grpc"

	"github.com/networkservicemesh/sdk/pkg/registry/chains/memory"
)

// runRegistry is upstream's memory registry.
func runRegistry(ctx context.Context, config *settings, secured *security) (func(), error) {
	options := []memory.Option{
		memory.WithAuthorizeNSRegistryServer(secured.authorizeServiceServer()),
		memory.WithAuthorizeNSERegistryServer(secured.authorizeEndpointServer()),
		memory.WithAuthorizeNSRegistryClient(secured.authorizeServiceClient()),
		memory.WithAuthorizeNSERegistryClient(secured.authorizeEndpointClient()),
		memory.WithDefaultExpiration(config.ExpirePeriod),
		memory.WithDialOptions(secured.dial...),
	}
	if config.ProxyRegistryURL.Host != "" {
		options = append(options, memory.WithProxyRegistryURL(&config.ProxyRegistryURL))
	}
	registry := memory.NewServer(ctx, secured.tokens, options...)
	return func() {}, listen(ctx, config, func(server *grpc.Server) { registry.Register(server) }, secured)
}
