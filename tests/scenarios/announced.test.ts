import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { tokenHeaders } from '@nsm/identity';
import { HealthDefinition } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { direct, requestFrom } from '../worlds/direct.ts';
import { startNetns } from '../worlds/netns.ts';
import { eventually } from '../worlds/world.ts';

const topology = (insecure: boolean): string => `
name: said
insecure: ${insecure}
nodes: { n1: {} }
services: { near: { payload: IP } }
endpoints:
  nse-near: { node: n1, services: [near], prefixes: [172.16.0.0/24] }
clients:
  a: { node: n1, services: [kernel://near/nsm-1] }
`;

type Started = Awaited<ReturnType<typeof startNetns>>;
let world: Started | undefined;
afterEach(async () => world?.stop());

/** What the processes that have one of these names have logged, but for what is below a warning. */
const warnings = ({ lab }: Started, name: string): Record<string, unknown>[] =>
  lab
    .processes()
    .filter((process) => process.name === name)
    .flatMap(({ log }) => readFileSync(log, 'utf8').split('\n'))
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ level }) => level === 'warn');

const listening = ['forwarder-n1', 'nse-near', 'nsmgr-n1', 'registry'];

/** What the health service of each process that listens on a unix socket answers about its being insecure. */
const asked = async ({ lab }: Started): Promise<string[]> => {
  const answers = await Promise.all(
    lab.plan.processes.flatMap(({ name, program, env }) => {
      const url = env['NSM_LISTEN_ON']?.split(',').find((each) => each.startsWith('unix:'));
      if (url === undefined || program === 'identity') return [];
      return lab.dialer
        .client(HealthDefinition, url)
        .check({ service: 'insecure' }, { deadline: Date.now() + 20_000 })
        .then(
          ({ status }) => `${name}: ${status}`,
          (err: unknown) => `${name}: ${NsmError.from(err).code}`,
        );
    }),
  );
  return answers.sort();
};

test('processes without an identity say so, in the log and as a service that others have not', async () => {
  const open = (world = await startNetns(topology(true)));
  await open.connected('a');
  for (const { name } of open.lab.plan.processes)
    await eventually(
      async () => warnings(open, name).map(({ msg }) => msg),
      (said) => said.some((msg) => String(msg).startsWith('insecure:')),
    );
  const SERVING = 1;
  expect(await asked(open)).toEqual(listening.map((name) => `${name}: ${SERVING}`));
});

test('those with one do not, and a refusal names policy, hop, element and connection to its caller and in the log', async () => {
  const proven = (world = await startNetns(topology(false)));
  await proven.connected('a');
  expect(await asked(proven)).toEqual(listening.map((name) => `${name}: not-found`));
  const token = { token: 'x', expires: { seconds: Math.floor(Date.now() / 1_000) + 60, nanos: 0 } };
  const call = direct(proven, 'n1').request(requestFrom(proven, 'a', 'near'), {
    headers: async () => tokenHeaders(token),
  });
  const refusal = { connection: 'direct-0', element: 'authorize', policy: 'tokens-valid' };
  await expect(call).rejects.toMatchObject({
    code: 'permission-denied',
    message: expect.stringMatching(/^no sufficient privileges: tokens-valid: /),
    hop: 'n1',
    ...refusal,
  });
  const logged = await eventually(
    async () => warnings(proven, 'nsmgr-n1').filter(({ policy }) => policy !== undefined),
    ({ length }) => length > 0,
  );
  expect(logged).toEqual([expect.objectContaining({ op: 'request', ...refusal })]);
});
