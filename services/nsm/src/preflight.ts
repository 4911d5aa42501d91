import { type Feature, probe } from '@nsm/netlink';
import { CAPABILITIES, type Check, KERNEL } from './check-table.ts';

/** What came of a check. Required and missing is a failure, optional and missing (or poor) a warning. */
export interface Finding {
  readonly group: 'kernel' | 'privileges' | 'programs';
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'missing';
  readonly need: 'required' | 'optional';
  readonly reason: string;
  /** What was found; where it is missing, the cause. */
  readonly detail: string;
  readonly remedy: string | null;
}

/** A finding of what is there. */
export const good = (
  group: Finding['group'],
  { name, need, reason }: Omit<Check, 'remedy'>,
  detail: string,
): Finding => ({ group, name, state: 'ok', need, reason, detail, remedy: null });

/** A finding of what is not there, or not as it should be. */
export const bad = (
  group: Finding['group'],
  { name, need, reason, remedy }: Check,
  detail: string,
): Finding => ({
  group,
  name,
  state: need === 'required' ? 'missing' : 'warning',
  need,
  reason,
  detail,
  remedy,
});

/** Tries what the kernel has, with the privileges of this process. */
export function kernelFindings(tryOut: (feature: Feature) => void = probe): Finding[] {
  return KERNEL.map(({ by, poor, ...check }) => {
    const causes = new Set<string>();
    for (const [i, feature] of by.entries()) {
      try {
        tryOut(feature);
        return good('kernel', check, i === 0 ? 'works' : (poor ?? 'works'));
      } catch (error) {
        causes.add(Error.isError(error) ? error.message : String(error));
      }
    }
    return bad('kernel', check, [...causes].join('; '));
  });
}

/**
 * The capabilities of a process, from its /proc/<pid>/status. Where labs can run without them (`rootless`), none is required: what is
 * missing then is a forwarder for the machine itself.
 */
export function capabilityFindings(status: string, rootless: boolean): Finding[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return CAPABILITIES.map(({ bit, ...check }) => {
    if ((effective >> BigInt(bit)) & 1n) return good('privileges', check, 'held');
    if (!rootless) return bad('privileges', check, 'not held');
    return bad(
      'privileges',
      { ...check, need: 'optional' },
      'not held; labs run without it, in a user namespace',
    );
  });
}
