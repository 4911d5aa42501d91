import { closeSync, openSync } from 'node:fs';
import { parseAddress, parsePrefix } from '@nsm/ip';
import { type End, endsOf, formatAlias, type Plan } from '@nsm/datapath';
import {
  addressDelete,
  addressReplace,
  awaitAddress,
  awaitLink,
  changeSysctl,
  getLink,
  linkDeleteGroup,
  linkSet,
  neighbourReplace,
  type Request,
  routeDelete,
  routeReplace,
  type Rtnetlink,
  vethAdd,
  vxlanAdd,
  withRtnetlink,
  writeSysctl,
} from '@nsm/netlink';

/**
 * The wire of a plan by the messages and settings it takes and nothing else: no checks, no thread, nobody who could adopt it, and no
 * question but whether packets pass. What can be known before is encoded before.
 */
export interface HandMade {
  create(): void;
  /** Asks for the link of each end: less cannot tell that a wire is there. */
  refresh(): void;
  /** Out of service and in the group that `reapByHand` deletes. */
  close(): void;
}

const GROUP = 0x7fff;
/** Above all that a data path draws for itself. */
let nextIndex = 0x7100_0000;

/** @param paths the files of the namespaces of the plan's ends, in its order @param node the node's, for tunnels */
export function byHand(plan: Plan, paths: readonly string[], node: string): HandMade {
  const ends = endsOf(plan).map(({ end, side }, i) => {
    const index = nextIndex++;
    return {
      path: paths[i] ?? '',
      birth: {
        index,
        name: end.name,
        mac: end.mac,
        ...(end.mtu === undefined ? {} : { mtu: end.mtu }),
      },
      index,
      six: end.addresses.map(parsePrefix).filter(({ family }) => family === 6),
      settings: end.sysctls.filter(({ path }) => path.includes('/conf/')),
      program: programmed(index, end, formatAlias({ id: plan.id, side })),
      close: [
        ...end.routes.map(({ to }) => routeDelete(index, { to: parsePrefix(to) })),
        ...end.addresses.map((address) => addressDelete(index, parsePrefix(address))),
        linkSet(index, { up: false, name: `x${index.toString(36)}`, group: GROUP }),
      ],
    };
  });
  const [one, other] = ends;
  const { link } = plan;
  const bear = (rt: Rtnetlink, fd: number): void => {
    if (one === undefined) throw new Error('a plan has an end');
    if (link.kind === 'veth' && other !== undefined)
      rt.request([vethAdd(one.birth, { ...other.birth, netns: fd })]);
    if (link.kind === 'vxlan')
      rt.request([
        vxlanAdd(
          { ...one.birth, netns: fd },
          {
            vni: link.vni,
            port: link.port,
            local: parseAddress(link.local),
            remote: parseAddress(link.remote),
          },
        ),
      ]);
  };
  return {
    create: () => {
      const last = ends.at(-1);
      if (one === undefined || last === undefined) throw new Error('a plan has an end');
      const fd = openSync(last.path, 'r');
      try {
        withRtnetlink(link.kind === 'veth' ? one.path : node, (rt) => {
          bear(rt, fd);
          withRtnetlink(fd, (far) => {
            for (const { settings, path: at, program } of ends) {
              for (const { path, value } of settings)
                (value === '0' ? changeSysctl : writeSysctl)(at, path, value);
              (at === last.path ? far : rt).request(program);
            }
            if (link.kind === 'veth') {
              awaitLink(rt, one.index);
              for (const address of one.six) awaitAddress(rt, address);
              awaitLink(far, last.index);
            }
            for (const address of last.six) awaitAddress(far, address);
          });
        });
      } finally {
        closeSync(fd);
      }
    },
    refresh: () => {
      for (const { path, index } of ends)
        withRtnetlink(path, (rt) => {
          if (getLink(rt, index)?.up !== true) throw new Error(`if${index} is not there`);
        });
    },
    close: () => {
      for (const { path, close } of ends) withRtnetlink(path, (rt) => rt.request(close));
    },
  };
}

/** Deletes what was closed by hand in a namespace. */
export const reapByHand = (path: string): void =>
  withRtnetlink(path, (rt) => rt.request([linkDeleteGroup(GROUP)]));

/** What is programmed on the end of a wire. */
export const programmed = (index: number, end: End, alias: string): Request[] => [
  linkSet(index, { alias, up: true }),
  ...end.addresses.map((address) => addressReplace(index, parsePrefix(address))),
  ...end.routes.map(({ to, via, scope }) =>
    routeReplace(index, {
      to: parsePrefix(to),
      ...(via === undefined ? {} : { via: parseAddress(via), onlink: true }),
      ...(scope === undefined ? {} : { scope }),
    }),
  ),
  ...end.neighbours.map(({ to, mac, state }) =>
    neighbourReplace(index, { to: parseAddress(to), mac, state }),
  ),
];
