/** One environment variable of a service: what it means, what it is when unset, and how its text is read. */
export interface Setting<T> {
  readonly help: string;
  /** The text that stands for an unset or empty variable; undefined: the variable is required. */
  readonly fallback: string | undefined;
  /** What may be written, for errors and help. */
  readonly form: string;
  /** Throws an Error that says what is wrong with the text. */
  readonly parse: (text: string) => T;
}

/** A service's table of settings by variable name. */
export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** What a table reads as. */
export type Values<S extends Settings> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

/** Every fault of an environment at once. */
export class SettingsError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.name = 'SettingsError';
    this.faults = faults;
  }
}

/** Reads a table from an environment; throws one {@link SettingsError} that names all faulty variables. */
export function readSettings<S extends Settings>(
  settings: S,
  env: Readonly<Record<string, string | undefined>>,
): Values<S> {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings)) {
    const given = env[name];
    const text = given === undefined || given === '' ? setting.fallback : given;
    if (text === undefined) {
      faults.push(`${name} is required: ${setting.help} (${setting.form})`);
      continue;
    }
    try {
      values[name] = setting.parse(text);
    } catch (err) {
      faults.push(
        `${name}=${JSON.stringify(text)}: ${(err as Error).message}; it takes ${setting.form}`,
      );
    }
  }
  if (faults.length > 0) throw new SettingsError(faults);
  return values as Values<S>;
}

/** The table as `--help` prints it: a line per variable. */
export function describeSettings(settings: Settings): string {
  const rows = Object.entries(settings).map(([name, { fallback, form, help }]) => [
    name,
    fallback === undefined ? '(required)' : fallback === '' ? '(empty)' : fallback,
    `${help} (${form})`,
  ]);
  const width = (column: number): number =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const [first, second] = [width(0), width(1)];
  return rows
    .map(
      ([name = '', fallback = '', help = '']) =>
        `  ${name.padEnd(first)}  ${fallback.padEnd(second)}  ${help}`,
    )
    .join('\n');
}

interface About {
  readonly help: string;
  /** Left out: the variable is required. */
  readonly fallback?: string;
}

const field = <T>(about: About, form: string, parse: (text: string) => T): Setting<T> => ({
  help: about.help,
  fallback: about.fallback,
  form,
  parse,
});

export const text = (about: About): Setting<string> => field(about, 'text', (t) => t);

/** One of a few words, upper or lower case. */
export const choice = <const C extends string>(
  about: About,
  ...choices: readonly C[]
): Setting<C> =>
  field(about, choices.join(' | '), (t) => {
    const found = choices.find((c) => c.toLowerCase() === t.toLowerCase());
    if (found === undefined) throw new Error('not one of the choices');
    return found;
  });

const parseUrl = (t: string): string => {
  if (!/^(unix:\/\/\/[^\0\s]+|tcp:\/\/[^/\s]*:\d{1,5})$/.test(t))
    throw new Error(`${JSON.stringify(t)} is not such a URL`);
  return t;
};
const URL_FORM = 'unix:///path or tcp://host:port';

export const url = (about: About): Setting<string> => field(about, URL_FORM, parseUrl);

/** Comma-separated; at least one. */
export const urls = (about: About): Setting<readonly string[]> =>
  field(about, `${URL_FORM}, several by commas`, (t) => splitList(t).map(parseUrl));

/** Comma-separated; empty: none. `check` throws an Error that says what is wrong with one. */
export const list = (
  about: About,
  { form = 'text', check = () => undefined }: ListOptions = {},
): Setting<readonly string[]> =>
  field(about, `${form}, several by commas`, (t) => {
    const items = splitList(t);
    for (const item of items) check(item);
    return items;
  });

interface ListOptions {
  /** What each one is. */
  readonly form?: string;
  readonly check?: (item: string) => unknown;
}

/** `key:value,key:value`; empty: none (contract 7). */
export const map = (about: About): Setting<Readonly<Record<string, string>>> =>
  field(about, 'key:value, several by commas', (t) =>
    Object.fromEntries(
      splitList(t).map((pair) => {
        const colon = pair.indexOf(':');
        if (colon < 1) throw new Error(`${JSON.stringify(pair)} has no "key:"`);
        return [pair.slice(0, colon), pair.slice(colon + 1)];
      }),
    ),
  );

/** As Go's ParseBool. */
export const flag = (about: About): Setting<boolean> =>
  field(about, 'true or false', (t) => {
    if (/^(1|t|true)$/i.test(t)) return true;
    if (/^(0|f|false)$/i.test(t)) return false;
    throw new Error('neither true nor false');
  });

export const integer = (about: About, min: number, max: number): Setting<number> =>
  field(about, `a whole number from ${min} to ${max}`, (t) => {
    const n = Number(t);
    if (!/^-?\d+$/.test(t) || n < min || n > max) throw new Error('out of range');
    return n;
  });

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** A Go duration as ms: `750ms`, `10m`, `1h30m`. */
export const duration = (about: About): Setting<number> =>
  field(about, 'a duration like 750ms, 15s, 10m or 1h30m', (t) => {
    if (t === '0') return 0;
    if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(t)) throw new Error('not a duration');
    return [...t.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)].reduce(
      (sum, [, n, unit]) => sum + Number(n) * (UNITS[unit ?? ''] ?? 0),
      0,
    );
  });

function splitList(t: string): string[] {
  return t
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
