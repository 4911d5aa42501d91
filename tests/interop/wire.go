package main

import (
	"context"
	"fmt"
	"net"

	"github.com/golang/protobuf/ptypes/empty"
	"github.com/google/uuid"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"google.golang.org/grpc"

	"github.com/networkservicemesh/api/pkg/api/networkservice"
	"github.com/networkservicemesh/api/pkg/api/networkservice/mechanisms/kernel"
	"github.com/networkservicemesh/api/pkg/api/networkservice/mechanisms/vxlan"
	"github.com/networkservicemesh/sdk-kernel/pkg/kernel/tools/nshandle"

	"github.com/networkservicemesh/sdk/pkg/networkservice/core/next"
)

const vxlanPort = 4789

type callerKey struct{}

// callerSide is the chain element that tells wire below it what was agreed with the caller.
type callerSide struct{}

func (*callerSide) Request(ctx context.Context, request *networkservice.NetworkServiceRequest) (*networkservice.Connection, error) {
	return next.Server(ctx).Request(withCaller(ctx, request.GetConnection()), request)
}

func (*callerSide) Close(ctx context.Context, conn *networkservice.Connection) (*empty.Empty, error) {
	return next.Server(ctx).Close(withCaller(ctx, conn), conn)
}

func withCaller(ctx context.Context, conn *networkservice.Connection) context.Context {
	return context.WithValue(ctx, callerKey{}, conn.GetMechanism().Clone())
}

// wire is the chain element that makes the links between both sides, with the kernel in the place of VPP. Addresses and routes
// are sdk-kernel's part.
type wire struct{}

func (*wire) Request(ctx context.Context, request *networkservice.NetworkServiceRequest, opts ...grpc.CallOption) (*networkservice.Connection, error) {
	conn, err := next.Client(ctx).Request(ctx, request, opts...)
	if err != nil {
		return nil, err
	}
	caller, _ := ctx.Value(callerKey{}).(*networkservice.Mechanism)
	if err := join(caller, conn.GetMechanism()); err != nil {
		_, _ = next.Client(ctx).Close(ctx, conn, opts...)
		return nil, fmt.Errorf("the wire cannot be made: %w", err)
	}
	return conn, nil
}

func (*wire) Close(ctx context.Context, conn *networkservice.Connection, opts ...grpc.CallOption) (*empty.Empty, error) {
	caller, _ := ctx.Value(callerKey{}).(*networkservice.Mechanism)
	for _, side := range []*networkservice.Mechanism{caller, conn.GetMechanism()} {
		if side.GetType() == kernel.MECHANISM {
			// Both ends of a pair go at once, and with a namespace all of it.
			_ = within(side, func(handle *netlink.Handle, _ netns.NsHandle, name string) error {
				link, err := handle.LinkByName(name)
				if err != nil {
					return err
				}
				return handle.LinkDel(link)
			})
		}
	}
	return next.Client(ctx).Close(ctx, conn, opts...)
}

func join(caller, callee *networkservice.Mechanism) error {
	born := "w" + uuid.NewString()[:8]
	switch {
	case exists(caller) || exists(callee):
		return nil
	case caller.GetType() == kernel.MECHANISM && callee.GetType() == kernel.MECHANISM:
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: born}, PeerName: born + "p"}
		if err := netlink.LinkAdd(pair); err != nil {
			return err
		}
		if err := place(born, caller); err != nil {
			return err
		}
		return place(born+"p", callee)
	case callee.GetType() == vxlan.MECHANISM:
		far := vxlan.ToMechanism(callee)
		return tunnel(born, far.VNI(), far.SrcIP(), far.DstIP(), caller)
	default:
		near := vxlan.ToMechanism(caller)
		return tunnel(born, near.VNI(), near.DstIP(), near.SrcIP(), callee)
	}
}

func tunnel(born string, vni uint32, local, remote net.IP, side *networkservice.Mechanism) error {
	device := &netlink.Vxlan{
		LinkAttrs: netlink.LinkAttrs{Name: born},
		VxlanId:   int(vni),
		SrcAddr:   local,
		Group:     remote,
		Port:      vxlanPort,
		Learning:  true,
	}
	if err := netlink.LinkAdd(device); err != nil {
		return err
	}
	return place(born, side)
}

// place moves a link to the namespace of a side, and gives it its name there.
func place(born string, side *networkservice.Mechanism) error {
	return within(side, func(handle *netlink.Handle, namespace netns.NsHandle, name string) error {
		link, err := netlink.LinkByName(born)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetNsFd(link, int(namespace)); err != nil {
			return err
		}
		moved, err := handle.LinkByName(born)
		if err != nil {
			return err
		}
		if err := handle.LinkSetName(moved, name); err != nil {
			return err
		}
		return handle.LinkSetUp(moved)
	})
}

func exists(side *networkservice.Mechanism) bool {
	return side.GetType() == kernel.MECHANISM && within(side, func(handle *netlink.Handle, _ netns.NsHandle, name string) error {
		_, err := handle.LinkByName(name)
		return err
	}) == nil
}

// within acts in the namespace of a side of the mechanism KERNEL.
func within(side *networkservice.Mechanism, act func(handle *netlink.Handle, namespace netns.NsHandle, name string) error) error {
	mechanism := kernel.ToMechanism(side)
	namespace, err := nshandle.FromURL(mechanism.GetNetNSURL())
	if err != nil {
		return err
	}
	defer func() { _ = namespace.Close() }()
	handle, err := netlink.NewHandleAt(namespace)
	if err != nil {
		return err
	}
	defer handle.Close()
	return act(handle, namespace, mechanism.GetInterfaceName())
}
