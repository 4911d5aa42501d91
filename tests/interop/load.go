package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/networkservicemesh/api/pkg/api/networkservice"
	"github.com/networkservicemesh/api/pkg/api/networkservice/mechanisms/kernel"

	"github.com/networkservicemesh/sdk/pkg/networkservice/chains/client"
	kernelmechanism "github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms/kernel"
	"github.com/networkservicemesh/sdk/pkg/networkservice/common/mechanisms/sendfd"
	"github.com/networkservicemesh/sdk/pkg/tools/grpcutils"
	"github.com/networkservicemesh/sdk/pkg/tools/nsurl"
)

// runLoad asks a manager for wires to the first service of the settings as NSM_CLIENTS clients at once, refreshes and closes
// them all, and prints how long that took. A client has one connection to the manager and keeps it.
func runLoad(ctx context.Context, config *settings, secured *security) (func(), error) {
	service := (*nsurl.NSURL)(&config.NetworkServices[0])
	clients := make([]networkservice.NetworkServiceClient, config.Clients)
	for i := range clients {
		cc, err := grpc.NewClient(grpcutils.URLToTarget(&config.ConnectTo), secured.dial...)
		if err != nil {
			return nil, err
		}
		cc.Connect()
		clients[i] = client.NewClient(ctx,
			client.WithName(config.Name),
			client.WithClientConn(cc),
			client.WithoutRefresh(),
			client.WithAuthorizeClient(secured.authorizeClient()),
			client.WithAdditionalFunctionality(kernelmechanism.NewClient(), sendfd.NewClient()),
		)
	}
	wires := make([][]*networkservice.Connection, config.Clients)
	request := func(i, round int) (err error) {
		var conn *networkservice.Connection
		conn, err = clients[i].Request(ctx, &networkservice.NetworkServiceRequest{
			Connection: &networkservice.Connection{
				Id:             fmt.Sprintf("%s-%d-%d", config.Name, i, round),
				NetworkService: service.NetworkService(),
			},
			MechanismPreferences: []*networkservice.Mechanism{{
				Cls:        "LOCAL",
				Type:       kernel.MECHANISM,
				Parameters: map[string]string{"name": fmt.Sprintf("l%d-%d", i, round)},
			}},
		})
		wires[i] = append(wires[i], conn)
		return err
	}
	refresh := func(i, round int) (err error) {
		wires[i][round], err = clients[i].Request(ctx, &networkservice.NetworkServiceRequest{Connection: wires[i][round].Clone()})
		return err
	}
	end := func(i, round int) error {
		_, err := clients[i].Close(ctx, wires[i][round])
		return err
	}
	for _, phase := range []struct {
		name string
		step func(i, round int) error
	}{{"request", request}, {"refresh", refresh}, {"close", end}} {
		if err := measure(phase.name, config, phase.step); err != nil {
			return nil, fmt.Errorf("%s: %w", phase.name, err)
		}
	}
	return func() {}, nil
}

// measure takes a step NSM_ROUNDS times one after the other for each of NSM_CLIENTS at once, and prints the times.
func measure(phase string, config *settings, step func(i, round int) error) error {
	var (
		group   sync.WaitGroup
		mutex   sync.Mutex
		times   []time.Duration
		failure error
	)
	started := time.Now()
	for i := range config.Clients {
		group.Go(func() {
			for round := range config.Rounds {
				begin := time.Now()
				err := step(i, round)
				took := time.Since(begin)
				mutex.Lock()
				times = append(times, took)
				if err != nil {
					failure = err
				}
				mutex.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	if failure != nil {
		return failure
	}
	took := time.Since(started)
	slices.Sort(times)
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	say.Info("measured",
		"phase", phase,
		"count", len(times),
		"p50", milliseconds(times[len(times)/2]),
		"p99", milliseconds(times[len(times)*99/100]),
		"perSecond", float64(len(times))/took.Seconds(),
	)
	return nil
}
