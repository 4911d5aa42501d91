package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/edwarnicke/grpcfd"
	"github.com/golang-jwt/jwt/v4"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/networkservicemesh/sdk/pkg/tools/grpcutils"
	"github.com/networkservicemesh/sdk/pkg/tools/spiffejwt"
	"github.com/networkservicemesh/sdk/pkg/tools/token"
)

// security is how a program proves who it is, and what it demands of others.
type security struct {
	dial     []grpc.DialOption
	serve    []grpc.ServerOption
	tokens   token.GeneratorFunc
	policies bool
	// Of registries and their clients.
	registryPolicies bool
}

// newSecurity takes the identity from the Workload API at SPIFFE_ENDPOINT_SOCKET, unless the mesh is insecure.
func newSecurity(ctx context.Context, config *settings) (*security, error) {
	// Who counts stands outside: it sees what grpcfd reads and writes.
	passing := func(creds credentials.TransportCredentials) credentials.TransportCredentials {
		if config.CountDescriptors {
			return counted{grpcfd.TransportCredentials(creds)}
		}
		return grpcfd.TransportCredentials(creds)
	}
	if config.Insecure {
		tokens := unsigned(config)
		plain := passing(insecure.NewCredentials())
		return assemble(plain, plain, tokens, plainCredentials{token.NewPerRPCCredentials(tokens)}), nil
	}
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return nil, fmt.Errorf("no identity: %w", err)
	}
	client := tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeAny())
	client.MinVersion = tls.VersionTLS12
	server := tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeAny())
	server.MinVersion = tls.VersionTLS12
	tokens := spiffejwt.TokenGeneratorFunc(source, config.MaxTokenLifetime)
	secured := assemble(
		passing(credentials.NewTLS(client)),
		passing(credentials.NewTLS(server)),
		tokens,
		token.NewPerRPCCredentials(tokens),
	)
	secured.policies, secured.registryPolicies = true, config.RegistryPolicies
	return secured, nil
}

func assemble(client, server credentials.TransportCredentials, tokens token.GeneratorFunc, perRPC credentials.PerRPCCredentials) *security {
	return &security{
		tokens: tokens,
		dial: []grpc.DialOption{
			grpc.WithTransportCredentials(client),
			grpc.WithBlock(),
			grpc.WithDefaultCallOptions(grpc.WaitForReady(true), grpc.PerRPCCredentials(perRPC)),
			grpcfd.WithChainStreamInterceptor(),
			grpcfd.WithChainUnaryInterceptor(),
		},
		serve: []grpc.ServerOption{grpc.Creds(server)},
	}
}

// unsigned makes tokens that prove nothing.
func unsigned(config *settings) token.GeneratorFunc {
	return func(credentials.AuthInfo) (string, time.Time, error) {
		expires := time.Now().Add(config.MaxTokenLifetime)
		claims := jwt.RegisteredClaims{Subject: "spiffe://insecure/" + config.Name, ExpiresAt: jwt.NewNumericDate(expires)}
		signed, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
		return signed, expires, err
	}
}

// plainCredentials sends tokens over connections without TLS too.
type plainCredentials struct {
	credentials.PerRPCCredentials
}

func (plainCredentials) RequireTransportSecurity() bool { return false }

// listen serves on every URL of the settings.
func listen(ctx context.Context, config *settings, register func(*grpc.Server), secured *security) error {
	server := grpc.NewServer(secured.serve...)
	register(server)
	for i := range config.ListenOn {
		select {
		case err := <-grpcutils.ListenAndServe(ctx, &config.ListenOn[i], server):
			return err
		case <-time.After(50 * time.Millisecond):
			// It has its socket; there is no other sign of it.
		}
	}
	return nil
}
