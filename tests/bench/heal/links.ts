import { getLink, linkDelete, linkSet, withRtnetlink, type Request } from '@nsm/netlink';
import { allUp, counting, residueLeft } from './mesh.ts';
import { follow, wireTo } from './moves.ts';
import type { Scenario } from './scenario.ts';

/** Something is done to the link of a client by hand, and its forwarder puts it right. */
const byHand = (
  name: string,
  service: string,
  link: string,
  request: (device: { index: number; name: string }) => Request,
): Scenario => ({
  name,
  until: 'traffic',
  deadlineMs: 1_500,
  run: async (mesh) => {
    const wire = await wireTo(mesh, 'a', service);
    const bystander = await wireTo(mesh, 'a', service === 'near' ? 'far' : 'near');
    const followed = follow(mesh, wire);
    const { result: ms, ...others } = await counting(mesh, [bystander], async () => {
      withRtnetlink(mesh.lab.netns('a'), (rt) =>
        rt.request([request({ index: getLink(rt, link)!.index, name: link })]),
      );
      return followed.answer(() => true);
    });
    const own = await followed.stop();
    await allUp(mesh);
    return { ms, own, others, residue: await residueLeft(mesh) };
  },
});

export const linkScenarios: readonly Scenario[] = (
  [
    ['local', 'near', 'nsm-1'],
    ['remote', 'far', 'nsm-2'],
  ] as const
).flatMap(([kind, service, link]) => [
  byHand(`link of a ${kind} wire deleted by hand`, service, link, (device) => linkDelete(device)),
  byHand(`link of a ${kind} wire set down by hand`, service, link, (device) =>
    linkSet(device, { up: false }),
  ),
]);
