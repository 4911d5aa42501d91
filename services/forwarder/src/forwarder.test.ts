import { expect, test } from '@jest/globals';
import { createVnis } from '@nsm/connection';
import { forwarderChain, type ForwarderDeps } from './chain.ts';

const deps = { tunnel: undefined, wireguard: undefined } as ForwarderDeps;

test('the chain of a forwarder, in order', () => {
  expect(
    forwarderChain({
      ...deps,
      tunnel: { addresses: [], port: 4_789, vnis: createVnis(Math.random) },
      wireguard: { ip: '10.0.0.1' },
    } as unknown as ForwarderDeps).name,
  ).toMatchInlineSnapshot(
    `"validate > receive-netns > recall > update-path > update-token > authorize > lifecycle > expire > discover > round-robin > mechanisms > cross-connect > make-room > vxlan-claim > wireguard-claim > translate > follow-next-hop > connect"`,
  );
});

test('with physical networks, theirs is checked before the kernel is asked', () => {
  const networks = { names: [], find: () => undefined };
  expect(forwarderChain({ ...deps, networks }).name).toMatchInlineSnapshot(
    `"validate > receive-netns > recall > update-path > update-token > authorize > lifecycle > expire > discover > round-robin > mechanisms > cross-connect > make-room > vlan-network > translate > follow-next-hop > connect"`,
  );
});

test('without a tunnel address there is nothing of tunnels in it', () => {
  expect(forwarderChain(deps).name).not.toMatch(/vxlan|wireguard/);
});
