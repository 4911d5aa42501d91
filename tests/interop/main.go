// Package main assembles upstream's public chains into the programs of a mesh, so that each can stand in for one of ours:
// interop registry, nsmgr, forwarder, nse, nsc. Settings come from the environment under upstream's names; what happens is
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
}

func main() {
	if len(os.Args) != 2 || programs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: interop registry|nsmgr|forwarder|nse|nsc")
		os.Exit(2)
	}
	if err := run(programs[os.Args[1]]); err != nil {
		say.Error(err.Error())
		os.Exit(1)
	}
}

func run(start program) error {
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
	say.Info("ready")
	<-signals.Done()
	stop()
	return nil
}
