import { describe, expect, test } from '@jest/globals';
import { parseAddress } from '@nsm/ip';
import { decodeEcho, encodeEcho, filterFor, socketAddress } from './icmp.ts';

const header = (protocol: number): Buffer =>
  Buffer.from(
    `45000054000040004001${'00'.repeat(10)}`.replace(
      '4001',
      `40${protocol.toString(16).padStart(2, '0')}`,
    ),
    'hex',
  );

describe('ICMP', () => {
  test('an IPv4 echo request has a checksum that sums to zero', () => {
    const packet = encodeEcho(4, { id: 0x1234, seq: 5 }, 57);
    let sum = 0;
    for (let i = 0; i < packet.length; i += 2) sum += (packet[i]! << 8) + (packet[i + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    expect(sum).toBe(0xffff);
    expect(packet.subarray(0, 2).toString('hex')).toBe('0800');
    expect(packet.subarray(4, 8).toString('hex')).toBe('12340005');
  });

  test('an IPv6 echo request leaves its checksum to the kernel', () => {
    expect(encodeEcho(6, { id: 1, seq: 2 }, 0).toString('hex')).toBe('8000000000010002');
  });

  test('reads answers of both families', () => {
    const answer = Buffer.from('0000ffff00070003', 'hex');
    expect(decodeEcho(4, Buffer.concat([header(1), answer]))).toEqual({ id: 7, seq: 3 });
    expect(decodeEcho(6, Buffer.from('8100ffff00070003', 'hex'))).toEqual({ id: 7, seq: 3 });
  });

  test('reads errors with the request they are about', () => {
    const about = Buffer.concat([header(1), encodeEcho(4, { id: 9, seq: 4 }, 0)]);
    const error = (type: number, code: number): Buffer =>
      Buffer.concat([header(1), Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), about]);
    expect(decodeEcho(4, error(3, 4))).toEqual({ id: 9, seq: 4, error: 'packet too big' });
    expect(decodeEcho(4, error(3, 1))).toEqual({
      id: 9,
      seq: 4,
      error: 'destination unreachable (code 1)',
    });
    expect(decodeEcho(4, error(11, 0))).toEqual({ id: 9, seq: 4, error: 'time to live exceeded' });
  });

  test('ignores what is none of ours', () => {
    expect(decodeEcho(4, Buffer.alloc(0))).toBeUndefined();
    expect(
      decodeEcho(4, Buffer.concat([header(1), Buffer.from('0800000000010001', 'hex')])),
    ).toBeUndefined();
    expect(decodeEcho(6, Buffer.from('8000', 'hex'))).toBeUndefined();
    expect(
      decodeEcho(6, Buffer.concat([Buffer.from('0100000000000000', 'hex'), Buffer.alloc(48)])),
    ).toBeUndefined();
  });

  test('lets only answers and errors through', () => {
    expect(filterFor(4).toString('hex')).toBe('f6f7ffff');
    const six = filterFor(6);
    const blocked = (type: number): boolean =>
      (six.readUInt32LE((type >>> 5) * 4) & (1 << (type & 31))) !== 0;
    expect([1, 2, 3, 129].map(blocked)).toEqual([false, false, false, false]);
    expect([128, 133, 135].map(blocked)).toEqual([true, true, true]);
  });

  test('socket addresses have the kernel’s layout', () => {
    expect(socketAddress(parseAddress('10.1.2.3')).toString('hex')).toBe(
      '02000000' + '0a010203' + '0'.repeat(16),
    );
    expect(socketAddress(parseAddress('fd00::1')).toString('hex')).toBe(
      `0a00000000000000fd00${'0'.repeat(27)}1${'0'.repeat(8)}`,
    );
  });
});
