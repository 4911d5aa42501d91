package main

import (
	"context"
	"net/url"

	"google.golang.org/grpc"

	"github.com/networkservicemesh/sdk/pkg/networkservice/chains/nsmgr"
)

// runManager is upstream's manager.
func runManager(ctx context.Context, config *settings, secured *security) (func(), error) {
	manager := nsmgr.NewServer(ctx, secured.tokens,
		nsmgr.WithName(config.Name),
		nsmgr.WithURL(publicURL(config.ListenOn)),
		nsmgr.WithRegistry(&config.RegistryURL),
		nsmgr.WithDialOptions(secured.dial...),
		nsmgr.WithDialTimeout(config.DialTimeout),
		nsmgr.WithDefaultExpiration(config.ExpirePeriod),
		nsmgr.WithAuthorizeServer(secured.authorizeServer()),
		nsmgr.WithAuthorizeNSRegistryServer(secured.authorizeServiceServer()),
		nsmgr.WithAuthorizeNSERegistryServer(secured.authorizeEndpointServer()),
		nsmgr.WithAuthorizeNSRegistryClient(secured.authorizeServiceClient()),
		nsmgr.WithAuthorizeNSERegistryClient(secured.authorizeEndpointClient()),
	)
	return func() {}, listen(ctx, config, func(server *grpc.Server) { manager.Register(server) }, secured)
}

// publicURL is what other nodes dial: the first one over TCP.
func publicURL(urls []url.URL) string {
	for i := range urls {
		if urls[i].Scheme == "tcp" {
			return urls[i].String()
		}
	}
	return ""
}
