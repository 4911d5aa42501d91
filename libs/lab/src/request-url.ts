/** What a client asks for, as one URL (contract 3.9): `kernel://service/interface?label=value`. */
export interface RequestUrl {
  readonly service: string;
  /** Name of the client's interface; undefined: one is generated. */
  readonly interface: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

const FORM = 'kernel://service/interface?label=value';
/** IFNAMSIZ with its terminator. */
const MAX_INTERFACE_BYTES = 15;

/** Reads a request URL. @throws Error that says what is wrong and what is allowed */
export function parseRequestUrl(text: string): RequestUrl {
  const match = /^([a-z]+):\/\/([^/?#\s]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(text);
  const [, scheme, service, name = '', query = ''] = match ?? [];
  if (scheme === undefined || service === undefined) throw new Error(`write it as ${FORM}`);
  if (scheme !== 'kernel')
    throw new Error(`the mechanism "${scheme}" is not known here; write it as ${FORM}`);
  const fault = name === '' ? undefined : interfaceFault(name);
  if (fault !== undefined) throw new Error(fault);
  // The first value of a key counts.
  const labels = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(query))
    if (!labels.has(key)) labels.set(key, value);
  return {
    service,
    interface: name === '' ? undefined : name,
    labels: Object.fromEntries(labels),
  };
}

/** The URL of a request; labels in the order of their keys' appearance. */
export function formatRequestUrl({ service, interface: name, labels }: RequestUrl): string {
  const query = new URLSearchParams(labels).toString();
  return `kernel://${service}${name === undefined ? '' : `/${name}`}${query === '' ? '' : `?${query}`}`;
}

/** Why the kernel would refuse an interface name (dev_valid_name); undefined when it would not. */
function interfaceFault(name: string): string | undefined {
  const bytes = Buffer.byteLength(name);
  if (bytes > MAX_INTERFACE_BYTES)
    return `the interface name "${name}" has ${bytes} bytes; at most ${MAX_INTERFACE_BYTES} are allowed`;
  if (name === '.' || name === '..' || /[/:\s\0]/.test(name))
    return `the interface name "${name}" is none; it may not hold "/", ":" or blanks`;
  if (name === 'lo') return 'the interface name "lo" is taken by the loopback interface';
  return undefined;
}
