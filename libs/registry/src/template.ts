type Labels = Readonly<Record<string, string>>;

/** One piece of a template: literal text, or what an action prints. */
type Piece = string | ((vars: Labels) => string);

/** `{{`, an optional trim mark with its blank, the body, an optional blank with its trim mark, `}}`. */
const ACTION =
  /\{\{(-(?=[ \t\r\n]))?[ \t\r\n]*((?:"(?:[^"\\\n]|\\.)*"|`[^`]*`|(?!\}\})[^"`])*?)[ \t\r\n]*((?<=[ \t\r\n])-)?\}\}/gsu;
const FIELD = /^\.([\p{L}_][\p{L}\p{Nd}_]*)$/u;
const INDEX = /^index[ \t\r\n]+\.[ \t\r\n]+("(?:[^"\\\n]|\\.)*"|`[^`]*`)$/su;
const STRING = /^(?:"(?:[^"\\\n]|\\.)*"|`[^`]*`)$/su;
const COMMENT = /^\/\*.*\*\/$/su;

/**
 * Executes a Go text/template on labels (contract 3.11): `{{ .key }}` (a missing key prints `<no value>`),
 * `{{ index . "key" }}` (a missing key prints nothing), string constants, comments and trim marks. A template that does
 * not parse, or uses anything else, stands for itself.
 */
export function render(template: string, vars: Labels): string {
  if (!template.includes('{{')) return template;
  const pieces = parse(template);
  if (pieces === undefined) return template;
  return pieces.map((piece) => (typeof piece === 'string' ? piece : piece(vars))).join('');
}

function parse(template: string): Piece[] | undefined {
  const pieces: Piece[] = [];
  let at = 0;
  let trim = false;
  const literal = (end: number, trimEnd: boolean): boolean => {
    let text = template.slice(at, end);
    if (text.includes('{{')) return false; // an action that is not closed
    if (trim) text = text.replace(/^[ \t\r\n]+/, '');
    if (trimEnd) text = text.replace(/[ \t\r\n]+$/, '');
    pieces.push(text);
    return true;
  };
  for (const found of template.matchAll(ACTION)) {
    const [whole, before, body = '', after] = found;
    const printed = action(body);
    if (printed === undefined || !literal(found.index, before !== undefined)) return undefined;
    pieces.push(printed);
    trim = after !== undefined;
    at = found.index + whole.length;
  }
  return literal(template.length, false) ? pieces : undefined;
}

function action(body: string): Piece | undefined {
  if (COMMENT.test(body)) return '';
  if (STRING.test(body)) return unquoted(body);
  const field = FIELD.exec(body)?.[1];
  if (field !== undefined)
    return (vars) => (Object.hasOwn(vars, field) ? (vars[field] ?? '') : '<no value>');
  const key = unquoted(INDEX.exec(body)?.[1] ?? '');
  if (key !== undefined) return (vars) => (Object.hasOwn(vars, key) ? (vars[key] ?? '') : '');
  return undefined;
}

/** A Go string literal's value; undefined where it is none, or uses an escape that JSON does not know. */
function unquoted(literal: string): string | undefined {
  if (literal.startsWith('`')) return literal.slice(1, -1);
  try {
    return literal === '' ? undefined : (JSON.parse(literal) as string);
  } catch {
    return undefined;
  }
}
