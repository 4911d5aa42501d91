import { expect, test } from '@jest/globals';
import { reap } from './bury.ts';
import { createFakeKernel } from './fake-kernel.ts';
import type { Kernel } from './kernel.ts';
import type { Plan } from './plan.ts';
import { planFrom } from './plan-from.ts';
import { createReconciler } from './reconcile.ts';
import { showNamespaces } from './show.ts';
import { context } from './testing.ts';

const PODS = { client: 'inode://4/7', endpoint: 'inode://4/8' };
const end = (inodeURL: string) => ({ type: 'KERNEL', parameters: { inodeURL, name: 'nsm-1' } });
const plan = planFrom({
  id: 'c1',
  payload: 'IP',
  context: context(['172.16.1.1/32'], ['172.16.1.0/32']),
  client: end(PODS.client),
  endpoint: end(PODS.endpoint),
  underlay: { mtu: 1500 },
});

const world = () => {
  const kernel = createFakeKernel();
  const buried: string[] = [];
  return {
    kernel,
    buried,
    client: kernel.enter(PODS.client),
    forwarder: (at: Kernel = kernel) => createReconciler(at, (netns) => buried.push(netns)),
    inService: () => showNamespaces(kernel, PODS).filter((line) => / up$|addr add/.test(line)),
  };
};

/** A kernel that counts how often it is asked for links. */
const counting = (kernel: Kernel) => {
  const asked: string[] = [];
  const enter: Kernel['enter'] = (netns) => {
    const space = kernel.enter(netns);
    return {
      ...space,
      link: (by) => {
        asked.push('link');
        return space.link(by);
      },
      links: () => {
        asked.push('links');
        return space.links();
      },
    };
  };
  return { asked, kernel: { ...kernel, enter } };
};

test('who has made a wire closes it without asking for its links, renamed ones too', () => {
  const { kernel, client, forwarder, buried, inService } = world();
  const counted = counting(kernel);
  const datapath = forwarder(counted.kernel);
  datapath.ensure(plan);
  client.apply([{ op: 'set', dev: client.link('nsm-1')!, to: { name: 'mine' } }]);
  counted.asked.length = 0;
  datapath.remove(plan);
  expect(counted.asked).toEqual([]);
  expect(inService()).toEqual([]);
  expect(buried).toEqual([PODS.client, PODS.endpoint]);
});

test('an end that went with the other one is not looked for among all links', () => {
  const { kernel, forwarder, buried } = world();
  const counted = counting(kernel);
  const datapath = forwarder(counted.kernel);
  datapath.ensure(plan);
  kernel
    .enter(PODS.client)
    .apply([{ op: 'delete', dev: kernel.enter(PODS.client).link('nsm-1')! }]);
  counted.asked.length = 0;
  datapath.remove(plan);
  expect(counted.asked).not.toContain('links');
  expect(buried).toEqual([]);
});

test('a wire that another process has made anew is closed by its name and mark', () => {
  const { kernel, client: pod, forwarder, inService } = world();
  const [first, second] = [forwarder(), forwarder()];
  first.ensure(plan);
  pod.apply([{ op: 'delete', dev: kernel.enter(PODS.client).link('nsm-1')! }]);
  second.ensure(plan);
  first.remove(plan);
  expect(inService()).toEqual([]);
  reap(kernel, PODS.client);
  expect(kernel.enter(PODS.endpoint).links()).toEqual([]);
});

test("what a workload has put in the place of its end is the workload's", () => {
  const { kernel, client: pod, forwarder } = world();
  const datapath = forwarder();
  datapath.ensure(plan);
  pod.apply([{ op: 'delete', dev: kernel.enter(PODS.client).link('nsm-1')! }]);
  const link = { name: 'nsm-1', index: kernel.newIndex(), mac: '02:00:00:00:00:01' };
  pod.apply([{ op: 'add-bridge', link }]);
  datapath.remove(plan);
  expect(pod.links()).toMatchObject([{ name: 'nsm-1', kind: 'bridge', group: 0 }]);
});

test('a wire whose pods cannot be found any more is deleted by their numbers, and nothing else there', () => {
  const { kernel, forwarder } = world();
  let blind = false;
  const enter: Kernel['enter'] = (netns) => {
    if (blind) throw Object.assign(new Error('not found'), { code: 'ENOENT' });
    return kernel.enter(netns);
  };
  const datapath = forwarder({ ...kernel, enter });
  const other = { ...plan, id: 'c2', link: renamed(plan, 'nsm-2') };
  datapath.ensure(plan);
  datapath.ensure(other);
  blind = true;
  datapath.remove(plan);
  for (const pod of Object.values(PODS))
    expect(kernel.enter(pod).links()).toMatchObject([{ name: 'nsm-2' }]);
});

test('what was buried while its pod was seen is reaped by the number of the pod', () => {
  const { kernel, forwarder } = world();
  const datapath = forwarder();
  datapath.ensure(plan);
  datapath.remove(plan);
  const [client] = kernel.nsids([kernel.enter(PODS.client)]);
  const blind: Kernel = {
    ...kernel,
    enter: () => {
      throw Object.assign(new Error('not found'), { code: 'ENOENT' });
    },
  };
  reap(blind, PODS.client);
  expect(kernel.enter(PODS.client).links()).toHaveLength(1);
  reap(blind, PODS.client, client!.nsid);
  expect(kernel.enter(PODS.client).links()).toEqual([]);
});

function renamed({ link }: Plan, name: string): Plan['link'] {
  if (link.kind !== 'veth') throw new Error(`it is a ${link.kind}`);
  return { ...link, client: { ...link.client, name }, endpoint: { ...link.endpoint, name } };
}
