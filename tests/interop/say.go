package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/networkservicemesh/sdk/pkg/tools/log"
	"github.com/networkservicemesh/sdk/pkg/tools/log/logruslogger"
)

// say prints one JSON line per event, with the field names of our own programs.
var say = slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{
	ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key == slog.LevelKey {
			return slog.String(slog.LevelKey, strings.ToLower(attr.Value.String()))
		}
		return attr
	},
}))

// quiet keeps upstream's log to itself unless NSM_LOG_LEVEL is debug: what matters is printed by say.
func quiet(ctx context.Context) context.Context {
	logrus.SetOutput(io.Discard)
	if strings.EqualFold(os.Getenv("NSM_LOG_LEVEL"), "debug") {
		logrus.SetOutput(os.Stderr)
		logrus.SetLevel(logrus.TraceLevel)
		log.EnableTracing(true)
	}
	log.SetGlobalLogger(logruslogger.New(ctx))
	return log.WithLog(ctx, logruslogger.New(ctx))
}
