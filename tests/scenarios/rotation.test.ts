import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startSecure, type Party, type Secure } from '../worlds/secure.ts';

const ROUNDS = 40;
const CLIENTS = 4;
const HOUR = 3_600_000;

let mesh: Secure;
beforeAll(async () => {
  mesh = await startSecure();
});
afterAll(() => mesh.stop());

test('no Request fails while every process of the path changes its identity all the time', async () => {
  const failures: string[] = [];
  let rotating = true;
  const clients = Array.from({ length: CLIENTS }, (_, k) => mesh.party(`client-${k}`));
  const load = async (client: Party, k: number): Promise<number> => {
    const name = `client-${k}`;
    let wire = await client.ask(mesh.urls.manager, { interface: `nsm-${k}` });
    let asked = 0;
    for (; rotating; asked += 1)
      wire = await client
        .ask(mesh.urls.manager, { path: wire.path, id: wire.id, name, interface: `nsm-${k}` })
        .catch((err: unknown) => {
          failures.push(String(err));
          return wire;
        });
    await client.close(mesh.urls.manager, wire);
    return asked;
  };
  const loads = clients.map(load);
  const rotate = ({ id, source }: Party): void => source.set(mesh.authority.issue(id, HOUR));
  const everybody = [...mesh.parties, ...clients];
  for (let round = 0; round < ROUNDS; round += 1) {
    rotate(everybody[round % everybody.length]!);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  rotating = false;
  const asked = await Promise.all(loads);
  expect(failures).toEqual([]);
  expect(Math.min(...asked)).toBeGreaterThan(0);
});
