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

func (s *security) registryPolicies() []registryauthorize.Option {
	if s.policies {
		return nil
	}
	return []registryauthorize.Option{registryauthorize.Any()}
}

func (s *security) authorizeServiceServer() registry.NetworkServiceRegistryServer {
	return registryauthorize.NewNetworkServiceRegistryServer(s.registryPolicies()...)
}

func (s *security) authorizeServiceClient() registry.NetworkServiceRegistryClient {
	return registryauthorize.NewNetworkServiceRegistryClient(s.registryPolicies()...)
}

func (s *security) authorizeEndpointServer() registry.NetworkServiceEndpointRegistryServer {
	return registryauthorize.NewNetworkServiceEndpointRegistryServer(s.registryPolicies()...)
}

func (s *security) authorizeEndpointClient() registry.NetworkServiceEndpointRegistryClient {
	return registryauthorize.NewNetworkServiceEndpointRegistryClient(s.registryPolicies()...)
}
