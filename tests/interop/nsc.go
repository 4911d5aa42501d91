package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/networkservicemesh/api/pkg/api/networkservice"
	"github.com/networkservicemesh/api/pkg/api/networkservice/mechanisms/kernel"
	kernelheal "github.com/networkservicemesh/sdk-kernel/pkg/kernel/tools/heal"

	"github.com/networkservicemesh/sdk/pkg/networkservice/chains/client"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/clientinfo"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/heal"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms"
	kernelmechanism "github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms/kernel"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms/sendfd"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/retry"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/upstreamrefresh"
	"github.com/networkservicemesh/sdk/pkg/tools/nsurl"
)

// runClient is a client that keeps one wire per URL.
func runClient(ctx context.Context, config *settings, secured *security) (func(), error) {
	healing := []heal.Option{}
	if config.LivenessCheckEnabled {
		healing = append(healing, heal.WithLivenessCheck(kernelheal.KernelLivenessCheck))
	}
	wires := retry.NewClient(client.NewClient(ctx,
		client.WithClientURL(&config.ConnectTo),
		client.WithName(config.Name),
		client.WithAuthorizeClient(secured.authorizeClient()),
		client.WithHealClient(heal.NewClient(ctx, healing...)),
		client.WithAdditionalFunctionality(
			new(reporter),
			clientinfo.NewClient(),
			upstreamrefresh.NewClient(ctx),
			mechanisms.NewClient(map[string]networkservice.NetworkServiceClient{
				kernel.MECHANISM: kernelmechanism.NewClient(),
			}),
			sendfd.NewClient(),
		),
		client.WithDialTimeout(config.DialTimeout),
		client.WithDialOptions(secured.dial...),
	), retry.WithTryTimeout(config.RequestTimeout))

	asking, cancel := context.WithCancel(ctx)
	var pending sync.WaitGroup
	up := make([]*networkservice.Connection, len(config.NetworkServices))
	for i := range config.NetworkServices {
		service := (*nsurl.NSURL)(&config.NetworkServices[i])
		request := &networkservice.NetworkServiceRequest{
			Connection: &networkservice.Connection{
				Id:             fmt.Sprintf("%s-%d", config.Name, i),
				NetworkService: service.NetworkService(),
				Labels:         service.Labels(),
			},
			MechanismPreferences: []*networkservice.Mechanism{service.Mechanism()},
		}
		pending.Go(func() {
			started := time.Now()
			// It asks until it is told to stop; every attempt is reported by the reporter.
			conn, err := wires.Request(asking, request)
			if err != nil {
				return
			}
			up[i] = conn
			say.Info("connected", append(facts(conn), "ms", float64(time.Since(started).Microseconds())/1000)...)
		})
	}
	return func() {
		cancel()
		pending.Wait()
		for _, conn := range up {
			if conn == nil {
				continue
			}
			if _, err := wires.Close(ctx, conn); err != nil {
				say.Warn(err.Error())
			}
		}
	}, nil
}
