package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"google.golang.org/grpc"

	"github.com/networkservicemesh/sdk/pkg/networkservice/chains/nsmgrproxy"
	"github.com/networkservicemesh/sdk/pkg/registry/chains/proxydns"
)

// runManagerProxy is upstream's proxy of a domain, through which its managers and registry speak to other domains.
func runManagerProxy(ctx context.Context, config *settings, secured *security) (func(), error) {
	proxy := nsmgrproxy.NewServer(ctx, &config.RegistryURL, &config.RegistryProxyURL, secured.tokens,
		nsmgrproxy.WithName(config.Name),
		nsmgrproxy.WithListenOn(&config.ListenOn[0]),
		nsmgrproxy.WithMapIPFilePath(config.MapIPFilePath),
		nsmgrproxy.WithDialOptions(secured.dial...),
		nsmgrproxy.WithDialTimeout(config.DialTimeout),
		nsmgrproxy.WithAuthorizeNSRegistryServer(secured.authorizeServiceServer()),
		nsmgrproxy.WithAuthorizeNSERegistryServer(secured.authorizeEndpointServer()),
		nsmgrproxy.WithAuthorizeNSRegistryClient(secured.authorizeServiceClient()),
		nsmgrproxy.WithAuthorizeNSERegistryClient(secured.authorizeEndpointClient()),
	)
	return func() {}, listen(ctx, config, func(server *grpc.Server) { proxy.Register(server) }, secured)
}

// runRegistryProxy is upstream's way to the registries of other domains.
func runRegistryProxy(ctx context.Context, config *settings, secured *security) (func(), error) {
	proxy := proxydns.NewServer(ctx, secured.tokens, hosts(config.Hosts),
		proxydns.WithAuthorizeNSRegistryServer(secured.authorizeServiceServer()),
		proxydns.WithAuthorizeNSERegistryServer(secured.authorizeEndpointServer()),
		proxydns.WithAuthorizeNSRegistryClient(secured.authorizeServiceClient()),
		proxydns.WithAuthorizeNSERegistryClient(secured.authorizeEndpointClient()),
		proxydns.WithDialOptions(secured.dial...),
	)
	return func() {}, listen(ctx, config, func(server *grpc.Server) { proxy.Register(server) }, secured)
}

// hosts stand in for DNS: name=address:port.
type hosts []string

func (h hosts) find(name string) (net.IP, uint16, error) {
	for _, host := range h {
		if where, found := strings.CutPrefix(host, name+"="); found {
			address, port, err := net.SplitHostPort(where)
			if err != nil {
				return nil, 0, err
			}
			number, err := strconv.ParseUint(port, 10, 16)
			return net.ParseIP(address), uint16(number), err
		}
	}
	return nil, 0, fmt.Errorf("no host %s", name)
}

func (h hosts) LookupSRV(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
	_, port, err := h.find(name)
	if err != nil {
		return "", nil, err
	}
	return name, []*net.SRV{{Target: name, Port: port}}, nil
}

func (h hosts) LookupIPAddr(_ context.Context, host string) ([]net.IPAddr, error) {
	address, _, err := h.find(host)
	if err != nil {
		return nil, err
	}
	return []net.IPAddr{{IP: address}}, nil
}
