import { NsmError } from '@nsm/rpc';
import { followLog, type LogLine, readLog } from './log-file.ts';
import { explained, type Run } from './run.ts';

/** A client's line about a wire that came up. */
export interface Connected {
  readonly connection: string;
  readonly service: string;
  /** Set-up time. */
  readonly ms: number;
}

const WIRE_LIMIT_MS = 30_000;

/** The wires a client has logged as connected since it was started: the first line of each. */
export const connectedIn = (run: Run): Connected[] => {
  if (run.process.program !== 'nsc') return [];
  const wires = new Map<string, Connected>();
  for (const line of readLog(run.process.log, run.logOffset)) note(wires, line);
  return [...wires.values()];
};

/** Waits for `count` different wires of a client. @throws NsmError deadline, unavailable with what its log says */
export async function waitConnected(
  run: Run,
  count: number,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
): Promise<Connected[]> {
  const { timeoutMs = WIRE_LIMIT_MS } = options;
  const limit = AbortSignal.timeout(timeoutMs);
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
  const { name, log } = run.process;
  const wires = new Map<string, Connected>();
  if (count === 0) return [];
  const enough = (line: LogLine): true | undefined => {
    note(wires, line);
    return wires.size >= count ? true : undefined;
  };
  const progress = (): string => `${wires.size} of ${count} wires of ${name} came up`;
  try {
    const done = await followLog(log, run.logOffset, enough, { ended: run.exited, signal });
    if (done === undefined)
      throw new NsmError('unavailable', `${progress()} before it ended (${await run.exited})`);
  } catch (error) {
    if (!limit.aborted) throw explained(run, error);
    throw explained(run, new NsmError('deadline', `${progress()} within ${timeoutMs} ms`));
  }
  return [...wires.values()];
}

function note(wires: Map<string, Connected>, line: LogLine): void {
  const { msg, connection, service, ms } = line;
  if (msg !== 'connected' || typeof connection !== 'string' || wires.has(connection)) return;
  wires.set(connection, { connection, service: String(service), ms: Number(ms) });
}
