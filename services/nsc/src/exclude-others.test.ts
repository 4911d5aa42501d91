import { beforeEach, describe, expect, test } from '@jest/globals';
import { chain, Scope, untraced } from '@nsm/chain';
import type { ConnectionElement } from '@nsm/connection';
import { Connection, type IPContext } from '@nsm/proto';
import { excludeOthers } from './exclude-others.ts';

type Ip = Parameters<typeof IPContext.fromPartial>[0];

let element: ConnectionElement;
beforeEach(() => {
  element = chain(
    excludeOthers((id, other) => [id, other].every((one) => one.startsWith('aware'))),
  );
});

/** Asks for a wire that is answered `ip`; answers what was excluded on the way, and what came back. */
async function ask(
  id: string,
  ip: Ip,
  { scope = new Scope(), asked = {} }: { readonly scope?: Scope; readonly asked?: Ip } = {},
) {
  let excluded: readonly string[] = [];
  const call = {
    op: 'request' as const,
    connection: Connection.fromPartial({ id, context: { ipContext: asked } }),
    preferences: [],
    token: undefined,
    deadline: undefined,
    signal: new AbortController().signal,
    trace: untraced,
    scope,
  };
  const answer = await element.run(call, async ({ connection }) => {
    excluded = connection.context?.ipContext?.excludedPrefixes ?? [];
    return Connection.fromPartial({
      ...connection,
      context: { ipContext: { excludedPrefixes: [...excluded, '10.99.0.0/16'], ...ip } },
    });
  });
  scope.commit();
  return { excluded, kept: answer.context?.ipContext?.excludedPrefixes, scope };
}

const pair = (n: number) => ({ srcIpAddrs: [`10.0.${n}.1/32`], dstIpAddrs: [`10.0.${n}.0/32`] });

describe('wires of one client', () => {
  test('exclude what the others have, addresses and routes to one address, and not what they have themselves', async () => {
    const routes = [{ prefix: '10.7.0.1/32' }, { prefix: '10.8.0.0/16' }];
    await ask('a', { ...pair(1), srcRoutes: routes });
    const { excluded, kept } = await ask('b', pair(2), {
      asked: { excludedPrefixes: ['10.5.0.0/16'] },
    });
    expect(excluded).toEqual(['10.5.0.0/16', '10.0.1.1/32', '10.0.1.0/32', '10.7.0.1/32']);
    expect(kept).toEqual(['10.5.0.0/16']);
    expect((await ask('a', pair(1), { asked: pair(1) })).excluded).toEqual([
      '10.0.2.1/32',
      '10.0.2.0/32',
    ]);
  });

  test('refuse an address that another one has', async () => {
    await ask('a', pair(1));
    await expect(ask('b', pair(1))).rejects.toThrow(
      'IP 10.0.1.1/32 is excluded, but it was found in response IPs',
    );
    expect((await ask('a', pair(1), { asked: pair(1) })).excluded).toEqual([]);
  });

  test('leave what they had with their end', async () => {
    const { scope } = await ask('a', pair(1));
    await scope.close();
    expect((await ask('b', pair(1))).excluded).toEqual([]);
  });

  test('of one awareness group may share, with no other', async () => {
    await ask('aware-1', pair(1));
    expect((await ask('aware-2', pair(1))).excluded).toEqual([]);
    expect((await ask('b', pair(2))).excluded).toEqual(['10.0.1.1/32', '10.0.1.0/32']);
  });
});
