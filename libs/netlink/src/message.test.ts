import { describe, expect, test } from '@jest/globals';
import { attribute, text } from './attribute.ts';
import { decodeAnswer, decodeMessages, encodeMessage, isDone, type Message } from './message.ts';

const hex = (...parts: string[]): Buffer => Buffer.from(parts.join(''), 'hex');
const only = (datagram: Buffer): Message => decodeMessages(datagram)[0]!;

describe('netlink messages', () => {
  test('carry length, type, flags and sequence number', () => {
    const message = encodeMessage({ type: 18, flags: 5, seq: 7, body: hex('0102030405') });
    expect(message.toString('hex')).toBe(
      '15000000' + '1200' + '0500' + '07000000' + '00000000' + '0102030405000000',
    );
  });

  test('survive being sent together', () => {
    const messages = Array.from({ length: 20 }, (_, i) => ({
      type: 16 + i,
      flags: i,
      seq: 0xfffffff0 + i,
      body: Buffer.alloc(Math.floor(Math.random() * 50), i),
    }));
    const decoded = decodeMessages(Buffer.concat(messages.map(encodeMessage)));
    expect(decoded.map(({ type, flags, body }) => [type, flags, body.toString('hex')])).toEqual(
      messages.map(({ type, flags, body }) => [type, flags, body.toString('hex')]),
    );
    expect(decoded[15]?.seq).toBe(0xffffffff);
    expect(decoded[16]?.seq).toBe(0);
  });

  test('that claim to be longer than the datagram end the reading', () => {
    expect(decodeMessages(hex('40000000', '1000', '0000', '00000000', '00000000'))).toEqual([]);
    expect(decodeMessages(hex('0000'))).toEqual([]);
  });

  test('an ACK is errno 0', () => {
    const ack = hex(
      '24000000',
      '0200',
      '0001',
      '09000000',
      '01000000',
      '00000000',
      '14000000',
      '1000',
      '0500',
      '09000000',
      '00000000',
    );
    expect(decodeAnswer(only(ack))).toEqual({ errno: 0, detail: '' });
  });

  test('a capped error carries the text of its extended ACK', () => {
    const body = Buffer.concat([
      hex('efffffff', '60000000', '1000', '0506', '09000000', '00000000'),
      text(1, 'A VXLAN device with the specified VNI already exists'),
    ]);
    const error = encodeMessage({ type: 2, flags: 0x300, seq: 9, body });
    expect(decodeAnswer(only(error))).toEqual({
      errno: 17,
      detail: 'A VXLAN device with the specified VNI already exists',
    });
  });

  test('an error that repeats the whole request carries its text behind it', () => {
    const request = encodeMessage({ type: 16, flags: 5, seq: 9, body: hex('0102030405060708') });
    const body = Buffer.concat([
      hex('eaffffff'),
      request,
      attribute(2, Buffer.alloc(4)),
      text(1, 'Invalid'),
    ]);
    expect(decodeAnswer(only(encodeMessage({ type: 2, flags: 0x200, seq: 9, body })))).toEqual({
      errno: 22,
      detail: 'Invalid',
    });
  });

  test('the end of a dump may carry an error', () => {
    const done = only(encodeMessage({ type: 3, flags: 2, seq: 1, body: hex('eaffffff') }));
    expect([isDone(done), decodeAnswer(done)]).toEqual([true, { errno: 22, detail: '' }]);
  });

  test('a message with data is no answer', () => {
    expect(decodeAnswer({ type: 16, flags: 2, seq: 1, body: Buffer.alloc(32) })).toBeUndefined();
  });
});
