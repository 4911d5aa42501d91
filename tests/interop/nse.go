package main

import (
	"context"

	"github.com/networkservicemesh/api/pkg/api/networkservice"
	"github.com/networkservicemesh/api/pkg/api/networkservice/mechanisms/kernel"
	"github.com/networkservicemesh/api/pkg/api/networkservice/mechanisms/noop"
	"github.com/networkservicemesh/api/pkg/api/registry"

	"github.com/networkservicemesh/sdk/pkg/networkservice/chains/endpoint"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms"
	kernelmechanism "github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms/kernel"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms/sendfd"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/null"
	"github.com/networkservicemesh/sdk/pkg/networkservice/ipam/groupipam"
	"github.com/networkservicemesh/sdk/pkg/networkservice/ipam/point2pointipam"
	"github.com/networkservicemesh/sdk/pkg/networkservice/ipam/strictipam"

	"net"
)

// runEndpoint is an endpoint that gives addresses and a kernel interface.
func runEndpoint(ctx context.Context, config *settings, secured *security) (func(), error) {
	strict := func(prefixes ...*net.IPNet) networkservice.NetworkServiceServer {
		return strictipam.NewServer(point2pointipam.NewServer, prefixes...)
	}
	server := endpoint.NewServer(ctx, secured.tokens,
		endpoint.WithName(config.Name),
		endpoint.WithAuthorizeServer(secured.authorizeServer()),
		endpoint.WithAdditionalFunctionality(
			groupipam.NewServer(config.CidrPrefix, groupipam.WithCustomIPAMServer(strict)),
			mechanisms.NewServer(map[string]networkservice.NetworkServiceServer{
				kernel.MECHANISM: kernelmechanism.NewServer(),
				noop.MECHANISM:   null.NewServer(),
			}),
			sendfd.NewServer(),
		),
	)
	if err := listen(ctx, config, server.Register, secured); err != nil {
		return nil, err
	}
	if config.RegisterService {
		services := serviceRegistry(ctx, config, secured)
		for _, name := range config.ServiceNames {
			if _, err := services.Register(ctx, &registry.NetworkService{Name: name, Payload: config.Payload}); err != nil {
				return nil, err
			}
		}
	}
	return registerEndpoint(ctx, config, secured, config.ServiceNames)
}
