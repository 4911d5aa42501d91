import { closeSync, openSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { formatNetns, inFreshNetns, netnsOf } from '@nsm/netlink';
import type { Descriptors } from '@nsm/rpc';
import { startHop } from './hop.ts';
import { endpointOf, serviceOf, startForwarder, startRegistry } from './parts.ts';
import { callerOf, createStage, kernel, refusal, type Caller, type Stage } from './stage.ts';

let stage: Stage;
let a: Caller;
/** A namespace that only its descriptor leads to. */
let fd: number;
let inodeURL: string;

beforeEach(async () => {
  stage = createStage('grpc');
  const registry = await startRegistry(stage, { url: stage.unix('registry') });
  await registry.services.register(serviceOf('svc'));
  const hop = await startHop(stage, 'nse');
  // It lives here, so that it need not send anything.
  const own = formatNetns(netnsOf('/proc/self/ns/net'));
  hop.answers(async (request, context) => {
    const answer = await hop.well(request, context);
    return { ...answer, mechanism: kernel({ ...answer.mechanism!.parameters, inodeURL: own }) };
  });
  await registry.endpoints.register(endpointOf('nse', hop.url, 'svc'));
  const { url } = await startForwarder(stage, {
    registryUrl: registry.url,
    netnsProof: 'descriptor',
  });
  a = callerOf(stage, url);
  fd = inFreshNetns(() => openSync('/proc/thread-self/ns/net', 'r'));
  inodeURL = formatNetns(netnsOf(fd));
});
afterEach(async () => {
  closeSync(fd);
  await stage.end();
});

const sends = (line: Descriptors | undefined): void => line!.send(fd);
const asks = (id: string, onConnection?: typeof sends) =>
  a.request({ id }, { preferences: [kernel({ inodeURL })], ...(onConnection && { onConnection }) });
const answered = async (call: ReturnType<typeof asks>): Promise<string | undefined> =>
  (await call).mechanism?.parameters['inodeURL'];

test('70, 72: a descriptor with its message; the answer carries the URL as it was sent', async () => {
  expect(await answered(asks('A-1', sends))).toBe(inodeURL);
});

test('70: a descriptor one request ahead of the message', async () => {
  // The second of the two is left for the next request.
  await asks('A-1', (line) => {
    sends(line);
    sends(line);
  });
  expect(await answered(asks('A-2'))).toBe(inodeURL);
});

test('70: a descriptor after the message, beside that of another call', async () => {
  const waiting = Promise.withResolvers<Descriptors | undefined>();
  const first = asks('A-1', waiting.resolve);
  await waiting.promise;
  const second = asks('A-2', (line) => {
    sends(line);
    sends(line);
  });
  expect(await Promise.all([answered(first), answered(second)])).toEqual([inodeURL, inodeURL]);
});

test('71: without a descriptor the request fails', async () => {
  const error = await refusal(asks('A-1'));
  expect([error.code, error.element]).toEqual(['permission-denied', 'receive-netns']);
  expect(error.message).toContain(`timeout in recvfd waiting for ${inodeURL}`);
});
