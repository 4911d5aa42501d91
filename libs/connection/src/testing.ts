import { Scope, untraced } from '@nsm/chain';
import { Connection, type Mechanism } from '@nsm/proto';
import type { Call, ConnectionElement } from './call.ts';

type Partially = Parameters<typeof Connection.fromPartial>[0];

/** A call for tests, with whatever of it matters. */
export const callOf = (connection: Partially = {}, change: Partial<Call> = {}): Call => ({
  op: 'request',
  connection: Connection.fromPartial(connection),
  preferences: [],
  token: undefined,
  deadline: undefined,
  signal: new AbortController().signal,
  scope: new Scope(),
  trace: untraced,
  ...change,
});

/** The end of a chain that answers what it was asked. */
export const echo = async (call: Call): Promise<Connection> => call.connection;

/** An element's answer to a call, with the end of the chain echoing. */
export const answerOf = (element: ConnectionElement, call: Call): Promise<Connection> =>
  element.run(call, echo);

/** What an element passes on. */
export async function passedOn(element: ConnectionElement, call: Call): Promise<Call> {
  let seen: Call | undefined;
  await element.run(call, async (next) => {
    seen = next;
    return next.connection;
  });
  if (!seen) throw new Error(`${element.name} did not go on`);
  return seen;
}

export const kernel = (parameters: Record<string, string> = {}): Mechanism => ({
  cls: 'LOCAL',
  type: 'KERNEL',
  parameters,
});
