package main

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"

	"google.golang.org/grpc/credentials"
)

var descriptorsReceived, descriptorsSent atomic.Int64

// counted are transport credentials that count the descriptors which pass their connections.
type counted struct {
	credentials.TransportCredentials
}

func (c counted) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c.TransportCredentials.ClientHandshake(ctx, authority, counting(conn))
}

func (c counted) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c.TransportCredentials.ServerHandshake(counting(conn))
}

func (c counted) Clone() credentials.TransportCredentials {
	return counted{c.TransportCredentials.Clone()}
}

func counting(conn net.Conn) net.Conn {
	if unix, ok := conn.(*net.UnixConn); ok {
		return countingConn{unix}
	}
	return conn
}

type countingConn struct {
	*net.UnixConn
}

func (c countingConn) ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	n, oobn, flags, addr, err = c.UnixConn.ReadMsgUnix(b, oob)
	count(&descriptorsReceived, oob[:oobn])
	return
}

func (c countingConn) WriteMsgUnix(b, oob []byte, addr *net.UnixAddr) (n, oobn int, err error) {
	n, oobn, err = c.UnixConn.WriteMsgUnix(b, oob, addr)
	count(&descriptorsSent, oob[:oobn])
	return
}

func count(into *atomic.Int64, oob []byte) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for i := range messages {
		if rights, err := syscall.ParseUnixRights(&messages[i]); err == nil && len(rights) > 0 {
			into.Add(int64(len(rights)))
			say.Info("descriptors", "received", descriptorsReceived.Load(), "sent", descriptorsSent.Load())
		}
	}
}
