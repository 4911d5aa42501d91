package main

import (
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/networkservicemesh/sdk/pkg/tools/cidr"
)

// settings holds what any of the programs reads; each reads what concerns it. Names are upstream's, but for DataPath and the last eight.
type settings struct {
	Name             string        `default:"interop"`
	ConnectTo        url.URL       `split_words:"true"`
	ListenOn         []url.URL     `split_words:"true"`
	RegistryURL      url.URL       `envconfig:"REGISTRY_URL"`
	MaxTokenLifetime time.Duration `split_words:"true" default:"10m"`
	DialTimeout      time.Duration `split_words:"true" default:"2s"`

	NetworkServices      []url.URL     `split_words:"true"`
	RequestTimeout       time.Duration `split_words:"true" default:"15s"`
	LivenessCheckEnabled bool          `split_words:"true" default:"true"`

	ServiceNames    []string `split_words:"true"`
	Payload         string   `default:"IP"`
	Labels          map[string]string
	CidrPrefix      cidr.Groups `split_words:"true" default:"169.254.0.0/16"`
	RegisterService bool        `split_words:"true" default:"true"`

	// Of the registry and of proxies: how they reach other domains.
	ProxyRegistryURL url.URL `envconfig:"PROXY_REGISTRY_URL"`
	RegistryProxyURL url.URL `envconfig:"REGISTRY_PROXY_URL"`
	MapIPFilePath    string  `envconfig:"MAP_IP_FILE_PATH"`

	TunnelIP net.IP `envconfig:"TUNNEL_IP"`
	// Whether the forwarder makes the wires it agrees on.
	DataPath bool `split_words:"true" default:"true"`

	// Of load: how many clients at once, and how often each asks.
	Clients int `default:"1"`
	Rounds  int `default:"1"`
	// Those that take no further steps.
	failed []bool

	// What stands in for DNS: name=address:port.
	Hosts []string

	// Without identities and policies.
	Insecure bool
	// Whether registries and their clients evaluate policies, as upstream's programs do.
	RegistryPolicies bool `split_words:"true" default:"true"`
	// Whether sockets of endpoints are registered as descriptors.
	PassSockets bool `split_words:"true" default:"true"`
	// Whether descriptors that connections carry are counted, and the counts printed.
	CountDescriptors bool `split_words:"true"`
	// How long an endpoint lasts in the registry without a refresh.
	ExpirePeriod time.Duration `split_words:"true" default:"1m"`
}

func readSettings() (*settings, error) {
	config := new(settings)
	if err := envconfig.Process("nsm", config); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return config, nil
}
