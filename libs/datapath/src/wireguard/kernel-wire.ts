import type { Device, LinkState, Namespace } from '../kernel.ts';
import type { Plan } from '../plan.ts';
import { hasPeer, isAsWanted } from './device.ts';
import type { KeyPair } from './key.ts';

/** Gives a device of the kernel's own that was just born its keys and its peer. @throws DatapathError */
export function setNewDevice(
  link: Plan['link'],
  space: Namespace,
  dev: Device,
  keys: KeyPair,
): void {
  if (link.kind !== 'wireguard') return;
  space.apply([{ op: 'wireguard', dev, setting: { link, keys, newPeer: true } }]);
}

/**
 * Makes a device of the kernel's own what a plan wants. A peer that stays keeps its session, so nothing is lost.
 * @returns what puts it back, as far as `was` says how it was
 * @throws DatapathError
 */
export function adjustDevice(
  { link }: Plan,
  was: Plan | undefined,
  space: Namespace,
  dev: LinkState,
  keys: KeyPair,
): () => void {
  const none = (): void => undefined;
  if (link.kind !== 'wireguard' || dev.kind !== 'wireguard') return none;
  const now = space.wireguard(dev);
  if (now !== undefined && isAsWanted(now, link)) return none;
  space.apply([{ op: 'wireguard', dev, setting: { link, keys, newPeer: !hasPeer(now, link) } }]);
  const before = was?.link;
  if (now === undefined || before?.kind !== 'wireguard') return none;
  const setting = { link: before, keys: now.keys, newPeer: !hasPeer(now, link) };
  return () => space.apply([{ op: 'wireguard', dev, setting }]);
}
