import { X509Certificate } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@nsm/chain/testing';
import { WORKLOAD_HEADER, workloadSource } from '@nsm/identity';
import { createAuthority } from '@nsm/identity/authority';
import { SpiffeWorkloadAPIDefinition, X509SVIDResponse } from '@nsm/proto';
import { createMemoryTransport, type Identity, type Listener } from '@nsm/rpc';
import { serveWorkloads } from './workloads.ts';

const URL = 'unix:///w.sock';
const ID = 'spiffe://nsm.local/lab/alice';
const HOUR = 3_600_000;
const clock = createFakeClock();
const authority = createAuthority('nsm.local', 100 * HOUR, clock);
const transport = createMemoryTransport();
const client = transport.client(SpiffeWorkloadAPIDefinition, URL);
const headers = { [WORKLOAD_HEADER]: 'true' };
let listener: Listener | undefined;
const serve = async (): Promise<void> => {
  listener = await transport.serve(URL, 'identity', [
    serveWorkloads(ID, { authority, clock, ttlMs: HOUR }),
  ]);
};
afterEach(() => listener?.close());

const first = async <T>(stream: AsyncIterable<T>): Promise<T> => {
  for await (const item of stream) return item;
  throw new Error('the stream has ended');
};

describe('the Workload API', () => {
  test('gives an X.509-SVID as the standard wants it', async () => {
    await serve();
    const { svids } = await first(client.fetchX509SVID({}, { headers }));
    expect(svids.map(({ spiffeId }) => spiffeId)).toEqual([ID]);
    const leaf = new X509Certificate(svids[0]?.x509Svid ?? Buffer.of());
    const ca = new X509Certificate(svids[0]?.bundle ?? Buffer.of());
    expect(leaf.subjectAltName).toBe(`URI:${ID}`);
    expect([leaf.ca, ca.ca]).toEqual([false, true]);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(leaf.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(ca.subjectAltName).toBe('URI:spiffe://nsm.local');
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true);
    expect(Date.parse(leaf.validTo)).toBe(Math.floor((clock.now() + HOUR) / 1_000) * 1_000);
  });

  test('gives the bundles alone as well', async () => {
    await serve();
    const { bundles } = await first(client.fetchX509Bundles({}, { headers }));
    expect(Object.keys(bundles)).toEqual(['spiffe://nsm.local']);
    expect(authority.certificate.raw.equals(bundles['spiffe://nsm.local'] ?? Buffer.of())).toBe(
      true,
    );
  });

  test('answers nobody who does not send its header', async () => {
    await serve();
    for (const sent of [{}, { [WORKLOAD_HEADER]: 'yes' }]) {
      const refused = expect.objectContaining({ code: 'invalid-argument' });
      await expect(first(client.fetchX509SVID({}, { headers: sent }))).rejects.toEqual(refused);
      await expect(first(client.fetchX509Bundles({}, { headers: sent }))).rejects.toEqual(refused);
      await expect(
        client.fetchJWTSVID({ audience: ['a'], spiffeId: '' }, { headers: sent }),
      ).rejects.toEqual(refused);
    }
  });

  test('says that it makes no JWT-SVIDs', async () => {
    await serve();
    const refused = expect.objectContaining({ code: 'unimplemented' });
    await expect(
      client.fetchJWTSVID({ audience: ['a'], spiffeId: '' }, { headers }),
    ).rejects.toEqual(refused);
    await expect(first(client.fetchJWTBundles({}, { headers }))).rejects.toEqual(refused);
    await expect(client.validateJWTSVID({ audience: 'a', svid: 'x' }, { headers })).rejects.toEqual(
      refused,
    );
  });
});

describe('the client of the Workload API', () => {
  const follow = () => {
    const [identities, faults]: [Identity[], string[]] = [[], []];
    const source = workloadSource({
      dialer: transport,
      url: URL,
      clock,
      random: () => 0.5,
      onEvent: (event) => {
        if ('identity' in event) identities.push(event.identity);
        else faults.push(event.fault.message);
      },
    });
    return { source, identities, faults };
  };

  test('gets a new identity at half the life of the last one', async () => {
    await serve();
    const { source, identities } = follow();
    const changes: Identity[] = [];
    source.onChange((identity) => changes.push(identity));
    const one = await source.current();
    expect(one.spiffeId).toBe(ID);
    await clock.advance(HOUR / 2);
    const two = await source.current();
    expect(two.certificates[0].serialNumber).not.toBe(one.certificates[0].serialNumber);
    expect(changes).toEqual(identities);
    source.close();
  });

  test('keeps the last identity while the server is down, until it expires, and gets one once it is back', async () => {
    await serve();
    const { source, faults } = follow();
    const one = await source.current();
    await listener?.close();
    await clock.advance(HOUR - 60_000);
    expect(await source.current()).toBe(one);
    expect(faults.length).toBeGreaterThan(0);
    await clock.advance(120_000);
    await expect(source.current(AbortSignal.abort())).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/expired.*nobody listens/),
    });
    const waiting = source.current();
    await serve();
    await clock.advance(10_000);
    expect((await waiting).spiffeId).toBe(ID);
    source.close();
  });

  test('asks the more often the nearer the end of its identity is', async () => {
    await serve();
    const { source } = follow();
    const one = await source.current();
    await listener?.close();
    const SECOND = 1_000;
    await clock.advance(HOUR - 3 * SECOND);
    await serve();
    await clock.advance(2 * SECOND);
    expect(await source.current()).not.toBe(one);
    source.close();
  });

  test('takes the first of several SVIDs, with the bundles of federated domains', async () => {
    const other = createAuthority('other.test', HOUR, clock);
    const svidOf = ({ spiffeId, certificates, privateKey }: Identity) => ({
      spiffeId,
      x509Svid: certificates[0].raw,
      x509SvidKey: privateKey.export({ type: 'pkcs8', format: 'der' }),
      bundle: Buffer.concat([authority.certificate.raw, authority.certificate.raw]),
    });
    const real = serveWorkloads(ID, { authority, clock, ttlMs: HOUR });
    listener = await transport.serve(URL, 'identity', [
      {
        ...real,
        handlers: {
          ...real.handlers,
          fetchX509SVID: async function* () {
            yield X509SVIDResponse.fromPartial({
              svids: ['a', 'b'].map((name) =>
                svidOf(authority.issue(`spiffe://nsm.local/${name}`, HOUR)),
              ),
              federatedBundles: { 'spiffe://other.test': other.certificate.raw },
            });
          },
        },
      },
    ]);
    const { source } = follow();
    const { spiffeId, bundles } = await source.current();
    expect(spiffeId).toBe('spiffe://nsm.local/a');
    expect([...bundles].map(([domain, { length }]) => [domain, length])).toEqual([
      ['other.test', 1],
      ['nsm.local', 2],
    ]);
    source.close();
  });
});
