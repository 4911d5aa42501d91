// Package main assembles upstream's public chains into the programs of a mesh, so that each can stand in for one of ours:
// interop registry, nsmgr, forwarder, nse, nsc, and the proxies of a domain: nsmgr-proxy, registry-proxy. Settings come from the environment under upstream's names; what happens is
// printed as JSON lines.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// A program starts and resolves when it is ready. What it answers takes it down in order.
type program func(context.Context, *settings, *security) (stop func(), err error)

var programs = map[string]program{
	"registry":  runRegistry,
	"nsmgr":     runManager,
	"forwarder": runForwarder,
	"nse":       runEndpoint,
	"nsc":       runClient,

	"nsmgr-proxy":    runManagerProxy,
	"registry-proxy": runRegistryProxy,
}

// tasks end by themselves, where programs run until they are told to end.
var tasks = map[string]program{
	"load":          runLoad,
	"load-registry": runRegistryLoad,
}

func main() {
	name := ""
	if len(os.Args) == 2 {
		name = os.Args[1]
	}
	start, isProgram := programs[name]
	if !isProgram {
		start = tasks[name]
	}
	if start == nil {
		fmt.Fprintln(os.Stderr, "usage: interop registry|nsmgr|forwarder|nse|nsc|nsmgr-proxy|registry-proxy|load|load-registry")
		os.Exit(2)
	}
	if err := run(start, isProgram); err != nil {
		say.Error(err.Error())
		os.Exit(1)
	}
}

func run(start program, stays bool) error {
	signals, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	// The chains outlive the signal: what stops in order still needs them.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	config, err := readSettings()
	if err != nil {
		return err
	}
	ctx = quiet(ctx)
	secured, err := newSecurity(ctx, config)
	if err != nil {
		return err
	}
	stop, err := start(ctx, config, secured)
	if err != nil {
		return err
	}
	if stays {
		say.Info("ready")
		<-signals.Done()
	}
	stop()
	return nil
}
