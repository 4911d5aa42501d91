import { DatapathError } from '../error.ts';
import type { Device, Kernel } from '../kernel.ts';
import type { OpenEnd } from '../open.ts';
import type { Plan } from '../plan.ts';
import { deviceName } from './name.ts';

/**
 * Moves the device that a process made in the node's namespace, where its packets go out, to the workload's. The MTU comes
 * first: the process sees it only here.
 * @throws DatapathError ENODEV when there is no such device
 */
export function takeDevice(
  kernel: Kernel,
  { link, ...plan }: Plan,
  end: OpenEnd | undefined,
): Device {
  if (end === undefined) throw new Error('a plan has an end');
  const { side, space } = end;
  const { name, mtu } = end.end;
  const born = deviceName({ ...plan, side });
  const home = kernel.home();
  try {
    const dev = home.link(born);
    if (dev === undefined) throw missing(born, link.kind);
    home.apply([
      ...(mtu === undefined ? [] : [{ op: 'set', dev, to: { mtu } } as const]),
      { op: 'move', dev, name, to: space },
    ]);
  } finally {
    home.leave();
  }
  const moved = space.link(name);
  if (moved === undefined) throw missing(name, link.kind);
  return moved;
}

function missing(name: string, kind: string): DatapathError {
  const operation = `ip link show dev ${name} type ${kind}`;
  return new DatapathError({
    message: `${operation}: No such device (ENODEV)`,
    code: 'ENODEV',
    errno: 19,
    operation,
  });
}
