package main

import (
	"github.com/networkservicemesh/api/pkg/api/networkservice"
	"github.com/networkservicemesh/api/pkg/api/registry"

	"github.com/networkservicemesh/sdk/pkg/networkservice/common/authorize"
	registryauthorize "github.com/networkservicemesh/sdk/pkg/registry/common/authorize"
)

// What upstream evaluates where: its own default Rego policies, or nothing in an insecure mesh.

func (s *security) authorizeServer() networkservice.NetworkServiceServer {
	if s.policies {
		return authorize.NewServer()
	}
	return authorize.NewServer(authorize.Any())
}

func (s *security) authorizeClient() networkservice.NetworkServiceClient {
	if s.policies {
		return authorize.NewClient()
	}
	return authorize.NewClient(authorize.Any())
}

// registryOption holds the policies that upstream's programs name in their settings: the chains have none by themselves. side is server or client.
func (s *security) registryOption(side string) registryauthorize.Option {
	if s.registryPolicies {
		return registryauthorize.WithPolicies(
			"etc/nsm/opa/common/.*.rego", "etc/nsm/opa/registry/.*.rego", "etc/nsm/opa/"+side+"/.*.rego")
	}
	return registryauthorize.Any()
}

func (s *security) authorizeServiceServer() registry.NetworkServiceRegistryServer {
	return registryauthorize.NewNetworkServiceRegistryServer(s.registryOption("server"))
}

func (s *security) authorizeServiceClient() registry.NetworkServiceRegistryClient {
	return registryauthorize.NewNetworkServiceRegistryClient(s.registryOption("client"))
}

func (s *security) authorizeEndpointServer() registry.NetworkServiceEndpointRegistryServer {
	return registryauthorize.NewNetworkServiceEndpointRegistryServer(s.registryOption("server"))
}

func (s *security) authorizeEndpointClient() registry.NetworkServiceEndpointRegistryClient {
	return registryauthorize.NewNetworkServiceEndpointRegistryClient(s.registryOption("client"))
}
