import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from 'yaml';

/** A place in a YAML document: what stands there, and how a person calls it (`clients.alice.node`). */
export interface Place {
  readonly path: string;
  /** Undefined where nothing, or an explicit null, is written. */
  readonly node: Node | undefined;
  /** Offset in the text that stands for the place in messages; that of its key or parent when it is empty. */
  readonly offset: number;
  /** Offset of its key; the same as `offset` for what has none. */
  readonly keyOffset: number;
}

/** Reads a YAML document and collects everything that is wrong with it, instead of stopping at the first fault. */
export interface YamlReader {
  readonly root: Place;
  /** Whether the text is YAML at all; if not, what is at its places is guesswork. */
  readonly wellFormed: boolean;
  /** `FILE:LINE:COLUMN PATH: what is wrong`, in the order of the text. */
  faults(): readonly string[];
  /** Reports a fault of what stands at a place, or of its key. */
  fault(place: Place, message: string, of?: 'key'): void;
  /** The fields of a map; unknown ones are faults. An absent map has no fields. */
  fields<K extends string>(place: Place, allowed: readonly K[]): Readonly<Record<K, Place>>;
  /** The entries of a map whose keys are names somebody chose. */
  entries(place: Place): readonly { readonly name: string; readonly place: Place }[];
  isList(place: Place): boolean;
  /** The items of a list; an absent list is empty. */
  items(place: Place): readonly Place[];
  /** A string; undefined when absent or a fault. Numbers and booleans are not strings: quote them. */
  text(place: Place): string | undefined;
  integer(place: Place): number | undefined;
  flag(place: Place): boolean | undefined;
  /** A map of strings; numbers and booleans are taken as they are written. */
  labels(place: Place): Readonly<Record<string, string>>;
}

/** Opens a document. `file` is what faults call it. */
export function readYaml(text: string, file: string): YamlReader {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const faults: { offset: number; text: string }[] = [];
  const report = (offset: number, path: string, message: string): void => {
    const { line, col } = lines.linePos(offset);
    const where = `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
    faults.push({ offset, text: `${where}${path === '' ? '' : ` ${path}`}: ${message}` });
  };
  for (const { message, pos } of document.errors) report(pos[0], '', firstLine(message));

  const place = (path: string, value: unknown, fallback: number): Place => {
    const node = isAlias(value) ? value.resolve(document) : value;
    const offset = isNode(value) ? (value.range?.[0] ?? fallback) : fallback;
    const empty = !isNode(node) || (isScalar(node) && node.value === null);
    return { path, node: empty ? undefined : node, offset, keyOffset: fallback };
  };
  const fault: YamlReader['fault'] = ({ offset, keyOffset, path }, message, of) =>
    report(of === 'key' ? keyOffset : offset, path, message);
  const wrong = <T>(at: Place, expected: string, instead: T): T => {
    fault(at, `${describe(at.node)} is not ${expected}`);
    return instead;
  };

  const entries: YamlReader['entries'] = (at) => {
    if (at.node === undefined) return [];
    if (!isMap(at.node)) return wrong(at, 'a map (name: value)', []);
    return at.node.items.map(({ key, value }) => {
      const name = String(isScalar(key) ? key.value : key);
      const offset = isNode(key) ? (key.range?.[0] ?? at.offset) : at.offset;
      return { name, place: place(at.path === '' ? name : `${at.path}.${name}`, value, offset) };
    });
  };
  const scalar = (at: Place): unknown => (isScalar(at.node) ? at.node.value : at.node);

  return {
    root: place('', document.contents, 0),
    wellFormed: document.errors.length === 0,
    faults: () => faults.toSorted((a, b) => a.offset - b.offset).map((entry) => entry.text),
    fault,
    entries,
    isList: (at) => isSeq(at.node),
    fields: <K extends string>(at: Place, allowed: readonly K[]) => {
      const found = new Map(entries(at).map((entry) => [entry.name, entry.place]));
      const list = allowed.join(', ');
      for (const [name, unknown] of found)
        if (!(allowed as readonly string[]).includes(name))
          fault(unknown, `there is no such field; allowed are ${list}`, 'key');
      const absent = (name: string): Place =>
        place(at.path === '' ? name : `${at.path}.${name}`, undefined, at.offset);
      return Object.fromEntries(
        allowed.map((name) => [name, found.get(name) ?? absent(name)]),
      ) as Record<K, Place>;
    },
    items: (at) => {
      if (at.node === undefined) return [];
      if (!isSeq(at.node)) return wrong(at, 'a list', []);
      return at.node.items.map((item, i) => place(`${at.path}[${i}]`, item, at.offset));
    },
    text: (at) => {
      if (at.node === undefined) return undefined;
      const value = scalar(at);
      return typeof value === 'string' ? value : wrong<string | undefined>(at, 'text', undefined);
    },
    integer: (at) => {
      if (at.node === undefined) return undefined;
      const value = scalar(at);
      return Number.isInteger(value)
        ? (value as number)
        : wrong<number | undefined>(at, 'a whole number', undefined);
    },
    flag: (at) => {
      if (at.node === undefined) return undefined;
      const value = scalar(at);
      return typeof value === 'boolean'
        ? value
        : wrong<boolean | undefined>(at, 'true or false', undefined);
    },
    labels: (at) =>
      Object.fromEntries(
        entries(at).flatMap(({ name, place: entry }) => {
          const { node } = entry;
          if (node === undefined) return [[name, '']];
          if (!isScalar(node)) return wrong(entry, 'text', []);
          return [[name, typeof node.value === 'string' ? node.value : (node.source ?? '')]];
        }),
      ),
  };
}

const firstLine = (text: string): string => text.split('\n')[0] ?? text;

function describe(node: Node | undefined): string {
  if (isMap(node)) return 'a map';
  if (isSeq(node)) return 'a list';
  return isScalar(node) ? JSON.stringify(node.value) : 'nothing';
}
