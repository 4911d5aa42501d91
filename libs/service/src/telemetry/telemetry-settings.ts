import { choice, flag, text, type Setting } from '../settings.ts';

/** Of the OpenTelemetry specification. */
export const samplerNames = [
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  'always_on',
  'always_off',
  'traceidratio',
] as const;

const endpoint: Setting<string> = {
  help: 'base URL of a collector that takes OTLP over HTTP, for traces; empty: none',
  fallback: '',
  form: 'http://host:port',
  parse: (given) => {
    if (given !== '' && !/^https?:\/\/[^/\s]+(\/\S*)?$/.test(given)) throw new Error('not a URL');
    return given;
  },
};

const ratio: Setting<number> = {
  help: 'which share of traces a sampler by ratio takes',
  fallback: '1',
  form: 'a number from 0 to 1',
  parse: (given) => {
    const share = Number(given);
    if (given.trim() === '' || !(share >= 0 && share <= 1)) throw new Error('out of range');
    return share;
  },
};

const listenOn: Setting<{ readonly host: string; readonly port: number } | undefined> = {
  help: 'where a Prometheus may ask for /metrics; empty: nowhere',
  fallback: '',
  form: 'host:port or :port',
  parse: (given) => {
    if (given === '') return undefined;
    const { host, port } =
      /^(?<host>\[[^\]]+\]|[^:\s]*):(?<port>\d{1,5})$/.exec(given)?.groups ?? {};
    if (port === undefined || Number(port) > 65_535) throw new Error('not such an address');
    return { host: host?.replaceAll(/[[\]]/g, '') || '::', port: Number(port) };
  },
};

/** What every program takes, by the names of OpenTelemetry and of upstream (contract 7.3). */
export const telemetrySettings = {
  NSM_PROMETHEUS_LISTEN_ON: listenOn,
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_SERVICE_NAME: text({
    fallback: '',
    help: 'service.name of the spans; empty: the name of the program',
  }),
  OTEL_TRACES_SAMPLER: choice(
    { fallback: 'parentbased_always_on', help: 'which traces are recorded' },
    ...samplerNames,
  ),
  OTEL_TRACES_SAMPLER_ARG: ratio,
  OTEL_SDK_DISABLED: flag({ fallback: 'false', help: 'true: no traces, whatever else is set' }),
};
