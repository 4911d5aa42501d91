package main

import (
	"context"

	"github.com/networkservicemesh/api/pkg/api/registry"

	"github.com/networkservicemesh/sdk/pkg/registry/chains/client"
	"github.com/networkservicemesh/sdk/pkg/registry/common/recvfd"
	"github.com/networkservicemesh/sdk/pkg/registry/common/sendfd"
)

// endpointRegistry speaks to the manager as endpoints and forwarders do.
func endpointRegistry(ctx context.Context, config *settings, secured *security, options ...client.Option) registry.NetworkServiceEndpointRegistryClient {
	return client.NewNetworkServiceEndpointRegistryClient(ctx, append([]client.Option{
		client.WithClientURL(&config.ConnectTo),
		client.WithDialOptions(secured.dial...),
		client.WithDialTimeout(config.DialTimeout),
		client.WithAuthorizeNSERegistryClient(secured.authorizeEndpointClient()),
	}, options...)...)
}

func serviceRegistry(ctx context.Context, config *settings, secured *security) registry.NetworkServiceRegistryClient {
	return client.NewNetworkServiceRegistryClient(ctx,
		client.WithClientURL(&config.ConnectTo),
		client.WithDialOptions(secured.dial...),
		client.WithDialTimeout(config.DialTimeout),
		client.WithAuthorizeNSRegistryClient(secured.authorizeServiceClient()),
	)
}

// registerEndpoint registers what the program serves on its first URL, and keeps it registered. The answer takes it back.
func registerEndpoint(ctx context.Context, config *settings, secured *security, services []string) (func(), error) {
	var options []client.Option
	if config.PassSockets {
		options = append(options, client.WithNSEAdditionalFunctionality(
			recvfd.NewNetworkServiceEndpointRegistryClient(),
			sendfd.NewNetworkServiceEndpointRegistryClient(),
		))
	}
	endpoints := endpointRegistry(ctx, config, secured, options...)
	labels := make(map[string]*registry.NetworkServiceLabels)
	for _, service := range services {
		labels[service] = &registry.NetworkServiceLabels{Labels: config.Labels}
	}
	registered, err := endpoints.Register(ctx, &registry.NetworkServiceEndpoint{
		Name:                 config.Name,
		NetworkServiceNames:  services,
		NetworkServiceLabels: labels,
		Url:                  config.ListenOn[0].String(),
	})
	if err != nil {
		return nil, err
	}
	say.Info("registered", "endpoint", registered.GetName(), "url", registered.GetUrl(), "pathIds", registered.GetPathIds())
	return func() {
		if _, err := endpoints.Unregister(ctx, registered); err != nil {
			say.Warn(err.Error())
		}
	}, nil
}
