import { describe, expect, test } from '@jest/globals';
import { Scope } from '@nsm/chain';
import { NsmError } from '@nsm/rpc';
import { callOf, echo, kernel, passedOn } from '../testing.ts';
import { createVnis } from '../vnis.ts';
import { kernelMechanism } from './kernel-mechanism.ts';
import { mechanisms, refusedMechanism, type ServedMechanism } from './mechanisms.ts';
import { vxlanClaim, vxlanMechanism, vxlanOffers } from './vxlan-mechanism.ts';

const random = () => 0.5;
const own = kernel({ inodeURL: 'inode://4/1' });
const vxlan = (parameters: Record<string, string> = {}) => ({
  cls: 'REMOTE',
  type: 'VXLAN',
  parameters,
});
const tunnel = (...ips: string[]) => ({
  addresses: (ips.length === 0 ? ['10.0.0.2'] : ips).map((ip) => ({ ip, underlayMtu: 1500 })),
  port: 4789,
  vnis: createVnis(Math.random),
});

describe('mechanisms', () => {
  const element = mechanisms(kernelMechanism({ random }));

  test('takes the first preference it can realise', async () => {
    const answer = await element.run(
      callOf(
        { networkService: 'svc' },
        { preferences: [{ cls: 'LOCAL', type: 'MEMIF', parameters: {} }, own] },
      ),
      echo,
    );
    expect(answer.mechanism?.type).toBe('KERNEL');
  });

  test('goes on with the next preference when one fails', async () => {
    const failing: ServedMechanism = {
      type: 'A',
      cls: 'LOCAL',
      run: () => Promise.reject(new NsmError('exhausted', 'no A left')),
    };
    const answer = await mechanisms(failing, kernelMechanism({ random })).run(
      callOf({}, { preferences: [{ cls: 'LOCAL', type: 'A', parameters: {} }, own] }),
      echo,
    );
    expect(answer.mechanism?.type).toBe('KERNEL');
  });

  test('takes no other one where the next hop is away: a wire that is asked for again would be made anew', async () => {
    const away: ServedMechanism = {
      type: 'A',
      cls: 'LOCAL',
      run: () => Promise.reject(new NsmError('unavailable', 'the endpoint is starting')),
    };
    const asked = mechanisms(away, kernelMechanism({ random })).run(
      callOf({}, { preferences: [{ cls: 'LOCAL', type: 'A', parameters: {} }, own] }),
      echo,
    );
    await expect(asked).rejects.toMatchObject({ code: 'unavailable' });
  });

  test.each([
    [[], 'mechanism_preferences is empty'],
    [
      [{ cls: 'LOCAL', type: 'MEMIF', parameters: {} }],
      'cannot support any of the requested mechanism: LOCAL MEMIF',
    ],
  ])('refuses preferences %j', async (preferences, text) => {
    await expect(element.run(callOf({}, { preferences }), echo)).rejects.toMatchObject({
      code: 'mechanism-unsupported',
      message: expect.stringContaining(text) as unknown,
      hint: 'supported here: LOCAL KERNEL',
    });
  });

  test('keeps the mechanism of a refresh and refuses another one', async () => {
    const scope = new Scope();
    const both = mechanisms(kernelMechanism({ random }), vxlanMechanism(tunnel()));
    const first = await both.run(
      callOf({ networkService: 'svc' }, { preferences: [own], scope }),
      echo,
    );
    expect(
      (await both.run(callOf({ mechanism: first.mechanism }, { scope }), echo)).mechanism,
    ).toEqual(first.mechanism);
    await expect(
      both.run(callOf({ mechanism: vxlan({ src_ip: '10.0.0.1' }) }, { scope }), echo),
    ).rejects.toMatchObject({
      message: expect.stringContaining('the connection has KERNEL') as unknown,
    });
    await expect(
      both.run(callOf({ mechanism: { cls: 'LOCAL', type: 'MEMIF', parameters: {} } }), echo),
    ).rejects.toMatchObject({
      message: expect.stringMatching(/^unsupported mechanism: LOCAL MEMIF \(.*VPP/) as unknown,
    });
  });

  test.each([
    ['LOCAL', 'MEMIF', 'VPP'],
    ['LOCAL', 'VFIO', 'SR-IOV'],
    ['REMOTE', 'SRV6', 'how packets are carried'],
    ['REMOTE', 'VXLAN', 'NSM_TUNNEL_IP'],
    ['REMOTE', 'IPSEC', 'no ESP in this kernel'],
  ])('refuses %s %s, and says why and what would work', async (cls, type, why) => {
    const some = mechanisms(
      kernelMechanism({ random }),
      refusedMechanism('IPSEC', 'REMOTE', 'no ESP in this kernel'),
    );
    for (const call of [
      callOf({}, { preferences: [{ cls, type, parameters: {} }] }),
      callOf({ mechanism: { cls, type, parameters: {} } }),
    ])
      await expect(some.run(call, echo)).rejects.toMatchObject({
        code: 'mechanism-unsupported',
        message: expect.stringMatching(new RegExp(`${cls} ${type} \\(.*${why}`)) as unknown,
        hint: 'supported here: LOCAL KERNEL',
      });
  });

  test('refuses a payload the mechanism cannot carry, and goes on with a preference that can', async () => {
    const frames: ServedMechanism = {
      type: 'FRAMES',
      cls: 'REMOTE',
      payloads: ['ETHERNET'],
      run: async (call, mechanism, next) => ({ ...(await next(call)), mechanism }),
    };
    const some = mechanisms(frames, kernelMechanism({ random }));
    const wanted = { cls: 'REMOTE', type: 'FRAMES', parameters: {} };
    for (const payload of ['', 'IP']) {
      await expect(
        some.run(callOf({ payload }, { preferences: [wanted] }), echo),
      ).rejects.toMatchObject({
        code: 'mechanism-unsupported',
        message: 'FRAMES cannot carry the payload IP: it carries ETHERNET',
        hint: 'supported here: LOCAL KERNEL',
      });
      const answer = await some.run(callOf({ payload }, { preferences: [wanted, own] }), echo);
      expect(answer.mechanism?.type).toBe('KERNEL');
    }
    const answer = await some.run(
      callOf({ payload: 'ETHERNET' }, { preferences: [wanted, own] }),
      echo,
    );
    expect(answer.mechanism?.type).toBe('FRAMES');
  });
});

describe('the kernel mechanism', () => {
  test('makes up a name of 15 bytes from the service, and keeps it', async () => {
    const scope = new Scope();
    const element = mechanisms(kernelMechanism({ random, netns: 'inode://4/9' }));
    const seen = (
      await passedOn(
        element,
        callOf({ networkService: 'icmp-responder' }, { preferences: [kernel()], scope }),
      )
    ).connection.mechanism?.parameters;
    expect(seen?.['name']).toMatch(/^icmp-respo-[0-9A-Za-z]{4}$/);
    expect(seen?.['inodeURL']).toBe('inode://4/9');
    const again = (
      await passedOn(
        element,
        callOf({ networkService: 'icmp-responder' }, { preferences: [kernel()], scope }),
      )
    ).connection.mechanism?.parameters;
    expect(again).toEqual(seen);
  });

  test('keeps a name that was told, for who asks without it', async () => {
    const scope = new Scope();
    const ask = async (parameters: Record<string, string>) => {
      const answer = await mechanisms(kernelMechanism({ random })).run(
        callOf(
          { networkService: 'svc' },
          { preferences: [kernel({ ...own.parameters, ...parameters })], scope },
        ),
        echo,
      );
      return answer.mechanism?.parameters['name'];
    };
    expect([await ask({ name: 'svc-0' }), await ask({}), await ask({ name: 'svc-1' })]).toEqual([
      'svc-0',
      'svc-0',
      'svc-1',
    ]);
  });

  test('needs to know the namespace', async () => {
    await expect(
      mechanisms(kernelMechanism({ random })).run(callOf({}, { preferences: [kernel()] }), echo),
    ).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('inodeURL') as unknown,
    });
  });
});

describe('the VXLAN mechanism', () => {
  test('answers its end, an even number iff src <= dst, and the MTU that is left', async () => {
    for (const [src, odd] of [
      ['10.0.0.1', 0],
      ['10.0.0.3', 1],
    ] as const) {
      const answer = await mechanisms(vxlanMechanism(tunnel())).run(
        callOf({}, { preferences: [vxlan({ src_ip: src })] }),
        echo,
      );
      const { vni, dst_ip: dst, MTU } = answer.mechanism!.parameters as Record<string, string>;
      expect([Number(vni) % 2, dst, MTU, answer.context?.MTU]).toEqual([
        odd,
        '10.0.0.2',
        '1446',
        1446,
      ]);
    }
  });

  test('keeps a number that is proposed and free, its own on a refresh, and frees it with the connection', async () => {
    const mine = tunnel();
    const element = mechanisms(vxlanMechanism(mine));
    const scope = new Scope();
    const call = callOf({}, { preferences: [vxlan({ src_ip: '10.0.0.1', vni: '42' })], scope });
    for (let i = 0; i < 2; i += 1)
      expect((await element.run(call, echo)).mechanism?.parameters['vni']).toBe('42');
    const second = await element.run(
      callOf({}, { preferences: [vxlan({ src_ip: '10.0.0.9', vni: '42' })] }),
      echo,
    );
    expect(second.mechanism?.parameters['vni']).not.toBe('42');
    await scope.close();
    expect(mine.vnis.claim(42, 'b')).toBe(true);
  });

  test('a number the other node chose that is in use here is a conflict', async () => {
    const mine = tunnel();
    const claim = vxlanClaim(mine);
    const [offer] = vxlanOffers(mine);
    const answered = {
      ...offer!,
      parameters: { ...offer!.parameters, vni: '42', dst_ip: '10.0.0.3' },
    };
    const ask = (scope: Scope) => claim.run(callOf({ mechanism: answered }, { scope }), echo);
    const scope = new Scope();
    expect((await ask(scope)).context?.MTU).toBe(1446);
    await ask(scope);
    await expect(ask(new Scope())).rejects.toMatchObject({ code: 'conflict' });
  });

  test('of several addresses each is offered, and the one of the other node’s family is taken', async () => {
    const both = tunnel('fd00::2', '10.0.0.2');
    expect(
      vxlanOffers(both).map(({ parameters }) => [parameters['src_ip'], parameters['MTU']]),
    ).toEqual([
      ['fd00::2', '1426'],
      ['10.0.0.2', '1446'],
    ]);
    for (const [src, dst, mtu] of [
      ['10.0.0.1', '10.0.0.2', 1446],
      ['fd00::1', 'fd00::2', 1426],
    ] as const) {
      const answer = await mechanisms(vxlanMechanism(both)).run(
        callOf({}, { preferences: [vxlan({ src_ip: src })] }),
        echo,
      );
      expect([answer.mechanism?.parameters['dst_ip'], answer.context?.MTU]).toEqual([dst, mtu]);
      const claimed = await vxlanClaim(tunnel('fd00::2', '10.0.0.2')).run(
        callOf({ mechanism: vxlan({ src_ip: dst, vni: '7' }) }, { scope: new Scope() }),
        echo,
      );
      expect(claimed.context?.MTU).toBe(mtu);
    }
  });

  test('passes over an offer of a family that the node has no address of', async () => {
    const four = mechanisms(vxlanMechanism(tunnel()));
    const six = vxlan({ src_ip: 'fd00::1' });
    await expect(four.run(callOf({}, { preferences: [six] }), echo)).rejects.toMatchObject({
      code: 'mechanism-unsupported',
      message: expect.stringContaining('this node has 10.0.0.2') as unknown,
    });
    const preferences = [six, vxlan({ src_ip: '10.0.0.1' })];
    const answer = await four.run(callOf({}, { preferences }), echo);
    expect(answer.mechanism?.parameters['src_ip']).toBe('10.0.0.1');
  });

  test('names a bad tunnel address', async () => {
    await expect(
      mechanisms(vxlanMechanism(tunnel())).run(
        callOf({}, { preferences: [vxlan({ src_ip: 'here' })] }),
        echo,
      ),
    ).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('src_ip') as unknown,
    });
  });
});

test('numbers for one pair of nodes do not meet', () => {
  const vnis = createVnis(Math.random);
  const seen = new Set<number>();
  for (let i = 0; i < 100_000; i += 1) seen.add(vnis.take('10.0.0.1', '10.0.0.2'));
  expect(seen.size).toBe(100_000);
  expect([...seen].every((vni) => vni % 2 === 0)).toBe(true);
});
