import { parentPort, workerData } from 'node:worker_threads';
import { moveToNetns } from '@nsm/netlink';
import { reap } from './bury.ts';
import { takeCensus } from './census.ts';
import { failureOf } from './error.ts';
import { type Buried, END, type Call, type Job, type Reply, type ThreadData } from './job.ts';
import { createNetlinkKernel } from './netlink-kernel.ts';
import { createReconciler } from './reconcile.ts';

/** The program of a kernel thread: takes jobs, runs each to its end with synchronous system calls, answers. */

const port = parentPort;
if (port === null) throw new Error('worker.ts is the program of a thread: call createDatapath()');

const { node } = workerData as ThreadData;
// For good: this thread lives for one node.
if (node !== undefined) moveToNetns(node);

const kernel = createNetlinkKernel();
let buried: Buried[] = [];
const reconciler = createReconciler(kernel, (netns, nsid) => buried.push({ netns, nsid }));

function run(job: Job): Reply['result'] {
  switch (job.job) {
    case 'ensure':
      return reconciler.ensure(job.plan, job.was === 'same' ? job.plan : job.was, job.keys);
    case 'remove':
      reconciler.remove(job.plan);
      return undefined;
    case 'discard':
      return reconciler.discard(job.link);
    case 'census': {
      const census = takeCensus(kernel, undefined, job.options);
      // What an earlier process has buried and did not live to see reaped.
      buried.push(...Object.keys(census.buried).map((netns) => ({ netns })));
      return census;
    }
    case 'reap':
      reap(kernel, job.netns, job.nsid);
      return undefined;
  }
}

function answer({ id, job }: Call): Reply {
  buried = [];
  try {
    const result = run(job);
    return { id, buried, ...(result === undefined ? {} : { result }) };
  } catch (error) {
    return { id, buried, failure: failureOf(error) };
  }
}

port.on('message', (message: string) => {
  if (message === END) {
    kernel.close();
    port.close();
  } else port.postMessage(answer(JSON.parse(message) as Call));
});
