package main

import (
	"github.com/networkservicemesh/api/pkg/api/networkservice"
	"github.com/networkservicemesh/sdk-kernel/pkg/kernel/networkservice/connectioncontextkernel"

	"github.com/networkservicemesh/sdk/pkg/networkservice/common/null"
)

// dataPath holds the elements of a forwarder that touch the kernel: links are made by wire, what is on them by sdk-kernel.
type dataPath struct {
	caller, context   networkservice.NetworkServiceServer
	wire, peerContext networkservice.NetworkServiceClient
}

// newDataPath answers elements that do nothing where the forwarder shall only agree on wires.
func newDataPath(wanted bool) dataPath {
	if !wanted {
		return dataPath{null.NewServer(), null.NewServer(), null.NewClient(), null.NewClient()}
	}
	return dataPath{
		caller:      new(callerSide),
		context:     connectioncontextkernel.NewServer(),
		wire:        new(wire),
		peerContext: connectioncontextkernel.NewClient(),
	}
}
