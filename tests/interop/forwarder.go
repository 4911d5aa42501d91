package main

import (
	"context"

	"github.com/networkservicemesh/api/pkg/api/networkservice"
	"github.com/networkservicemesh/api/pkg/api/networkservice/mechanisms/kernel"
	"github.com/networkservicemesh/api/pkg/api/networkservice/mechanisms/vxlan"

	"github.com/networkservicemesh/sdk/pkg/networkservice/chains/client"
	"github.com/networkservicemesh/sdk/pkg/networkservice/chains/endpoint"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/connect"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/discover"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/filtermechanisms"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms"
	kernelmechanism "github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms/kernel"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms/recvfd"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms/sendfd"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms/vxlan/vni"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanismtranslation"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/null"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/roundrobin"
	registryclient "github.com/networkservicemesh/sdk/pkg/registry/chains/client"
	registryrecvfd "github.com/networkservicemesh/sdk/pkg/registry/common/recvfd"
)

// runForwarder is a forwarder of upstream's elements: those of its sdk agree with both sides of a wire, those of sdk-kernel program
// addresses, routes and neighbours, and links of the kernel stand in for VPP.
func runForwarder(ctx context.Context, config *settings, secured *security) (func(), error) {
	dataPath := newDataPath(config.DataPath)
	server := endpoint.NewServer(ctx, secured.tokens,
		endpoint.WithName(config.Name),
		endpoint.WithAuthorizeServer(secured.authorizeServer()),
		endpoint.WithAdditionalFunctionality(
			recvfd.NewServer(),
			sendfd.NewServer(),
			discover.NewServer(
				serviceRegistry(ctx, config, secured),
				endpointRegistry(ctx, config, secured,
					registryclient.WithNSEAdditionalFunctionality(registryrecvfd.NewNetworkServiceEndpointRegistryClient())),
			),
			roundrobin.NewServer(),
			dataPath.context,
			mechanisms.NewServer(map[string]networkservice.NetworkServiceServer{
				kernel.MECHANISM: null.NewServer(),
				vxlan.MECHANISM:  vni.NewServer(config.TunnelIP),
			}),
			dataPath.caller,
			connect.NewServer(client.NewClient(ctx,
				client.WithName(config.Name),
				client.WithoutRefresh(),
				client.WithDialOptions(secured.dial...),
				client.WithDialTimeout(config.DialTimeout),
				client.WithAdditionalFunctionality(
					mechanismtranslation.NewClient(),
					dataPath.peerContext,
					dataPath.wire,
					kernelmechanism.NewClient(),
					&offer{&networkservice.Mechanism{Cls: "REMOTE", Type: vxlan.MECHANISM}},
					vni.NewClient(config.TunnelIP),
					filtermechanisms.NewClient(),
					recvfd.NewClient(),
					sendfd.NewClient(),
				),
			)),
		),
	)
	if err := listen(ctx, config, server.Register, secured); err != nil {
		return nil, err
	}
	if config.Labels == nil {
		config.Labels = map[string]string{"p2p": "true"}
	}
	return registerEndpoint(ctx, config, secured, []string{"forwarder"})
}
