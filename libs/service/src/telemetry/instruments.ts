/** What a metric is: its kind, what it says, and the labels it has. Every label has a bounded number of values. */
export interface Instrument {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

const of =
  (kind: Instrument['kind']) =>
  (help: string, ...labels: readonly string[]): Instrument => ({ kind, help, labels });
const counter = of('counter');
const gauge = of('gauge');
const histogram = of('histogram');

/** Every metric there is; docs/telemetry.md explains them. Histograms are in seconds. */
export const instruments = {
  nsm_build_info: gauge('Which program this is; always 1.', 'program', 'version', 'commit'),
  nsm_ready: gauge(
    'Whether the process serves: it has started, lacks nothing and is not draining.',
  ),
  nsm_dependency_up: gauge('Whether what the process depends on is there.', 'dependency'),
  nsm_requests_total: counter(
    'Requests that ended here, by network service and by OK or the code of the error.',
    'service',
    'code',
  ),
  nsm_request_duration_seconds: histogram('From the arrival of a Request to its answer.'),
  nsm_heal_duration_seconds: histogram(
    'From the moment a fault of a wire was noticed until the wire was up again.',
    'cause',
  ),
  nsm_connections: gauge('Connections this process holds.', 'state'),
  nsm_forwarder_rx_bytes_total: counter(
    'Octets that came in by the legs of wires of this mechanism.',
    'mechanism',
  ),
  nsm_forwarder_tx_bytes_total: counter(
    'Octets that went out by the legs of wires of this mechanism.',
    'mechanism',
  ),
  nsm_forwarder_rx_packets_total: counter(
    'Packets that came in by the legs of wires of this mechanism.',
    'mechanism',
  ),
  nsm_forwarder_tx_packets_total: counter(
    'Packets that went out by the legs of wires of this mechanism.',
    'mechanism',
  ),
  nsm_leaked_resources: gauge(
    'What is in the kernel and belongs to no connection: links nobody has claimed, and removed ones that wait to be reaped.',
    'kind',
  ),
  nsm_registry_entries: gauge('Entries of the registry.', 'kind'),
  nsm_limit_refusals_total: counter('Calls and connections that were beyond a limit.', 'limit'),
  nsm_watch_streams: gauge('Streams of answers that are open.', 'method'),
  nsm_svid_expiry_timestamp_seconds: gauge(
    'When the identity of the process ends, in seconds since 1970.',
  ),
  process_cpu_seconds_total: counter('CPU time the process has used.'),
  process_resident_memory_bytes: gauge('Memory of the process that is resident.'),
  process_start_time_seconds: gauge('When the process started, in seconds since 1970.'),
} as const satisfies Readonly<Record<string, Instrument>>;

export type InstrumentName = keyof typeof instruments;

/** Upper bounds of the buckets of histograms, in seconds. */
export const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
