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
		if err == nil {
			wires[i] = append(wires[i], conn)
		}
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

// measure takes a step NSM_ROUNDS times one after the other for each of NSM_CLIENTS at once, and prints the times. A client whose step
// fails takes no further ones; how many did is printed too, and it fails where all did.
func measure(phase string, config *settings, step func(i, round int) error) error {
	var (
		group   sync.WaitGroup
		mutex   sync.Mutex
		times   []time.Duration
		failure error
	)
	if config.failed == nil {
		config.failed = make([]bool, config.Clients)
	}
	started := time.Now()
	for i := range config.Clients {
		group.Go(func() {
			for round := 0; round < config.Rounds && !config.failed[i]; round++ {
				begin := time.Now()
				err := step(i, round)
				took := time.Since(begin)
				mutex.Lock()
				if err == nil {
					times = append(times, took)
				} else {
					failure, config.failed[i] = err, true
				}
				mutex.Unlock()
			}
		})
	}
	group.Wait()
	if len(times) == 0 {
		return failure
	}
	took := time.Since(started)
	slices.Sort(times)
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	why := ""
	if failure != nil {
		why = failure.Error()
	}
	say.Info("measured",
		"phase", phase,
		"count", len(times),
		"failed", config.Clients*config.Rounds-len(times),
		"why", why,
		"p50", milliseconds(times[len(times)/2]),
		"p99", milliseconds(times[len(times)*99/100]),
		"perSecond", float64(len(times))/took.Seconds(),
	)
	return nil
}
