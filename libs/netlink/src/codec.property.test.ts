import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeAddress } from './address.ts';
import {
  attribute,
  attributes,
  entries,
  nest,
  readText,
  readU32,
  text,
  u32,
  u8,
} from './attribute.ts';
import { decodeLink } from './link.ts';
import { linkSet, vethAdd, vxlanAdd } from './link-message.ts';
import {
  decodeAnswer,
  decodeMessages,
  encodeMessage,
  MalformedMessage,
  type Message,
} from './message.ts';
import { decodeNeighbour } from './neighbour.ts';
import { decodeRoute } from './route.ts';
import { decodeRule, ruleAdd } from './rule.ts';
import { decodeWireguard, wireguardSet } from './wireguard.ts';

const RUNS = { numRuns: 500 } as const;
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
const u16 = fc.nat({ max: 0xffff });
const message = fc.record({ type: u16, flags: u16, seq: fc.nat({ max: 0xffffffff }), body: bytes });

const decoders = {
  decodeAddress,
  decodeAnswer,
  decodeLink,
  decodeNeighbour,
  decodeRoute,
  decodeRule,
  decodeWireguard,
} satisfies Record<string, (message: Message) => unknown>;

/** Messages with attributes that look like the real ones, and whatever is between. */
const plausible = fc
  .tuple(
    fc.uint8Array({ minLength: 12, maxLength: 16 }),
    fc.array(
      fc.oneof(
        fc.tuple(fc.nat({ max: 60 }), bytes).map(([type, payload]) => attribute(type, payload)),
        fc.tuple(fc.nat({ max: 60 }), fc.string()).map(([type, value]) => text(type, value)),
        fc.tuple(fc.nat({ max: 60 }), fc.nat()).map(([type, value]) => u32(type, value)),
        fc.constantFrom('vxlan', 'veth').map((kind) => nest(18, text(1, kind), nest(2, u8(4, 1)))),
        bytes,
      ),
      { maxLength: 8 },
    ),
  )
  .map(([header, parts]) => Buffer.concat([header, ...parts]));

describe('the codec', () => {
  test('gives messages back as they were, however many are in one datagram', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 10 }), (messages) => {
        expect(decodeMessages(Buffer.concat(messages.map(encodeMessage)))).toEqual(messages);
      }),
      RUNS,
    );
  });

  test('gives attributes back as they were, the last of each type', () => {
    const list = fc.array(fc.tuple(fc.nat({ max: 0x3fff }), bytes), { maxLength: 10 });
    fc.assert(
      fc.property(list, (wanted) => {
        const run = Buffer.concat(wanted.map(([type, payload]) => attribute(type, payload)));
        const hex = (list: readonly (readonly [number, Buffer])[]) =>
          list.map(([type, payload]) => [type, payload.toString('hex')]);
        expect(hex(entries(run))).toEqual(hex(wanted));
        for (const [type, last] of new Map(wanted))
          expect(attributes(run).get(type)?.equals(last)).toBe(true);
      }),
      RUNS,
    );
  });

  test('reads any bytes to their end and no further', () => {
    const inside = (part: Buffer, whole: Buffer): boolean =>
      part.byteOffset >= whole.byteOffset &&
      part.byteOffset + part.length <= whole.byteOffset + whole.length;
    fc.assert(
      fc.property(bytes, (datagram) => {
        for (const { body } of decodeMessages(datagram)) expect(inside(body, datagram)).toBe(true);
        for (const [, payload] of entries(datagram)) {
          expect(inside(payload, datagram)).toBe(true);
          readText(payload);
          readU32(payload);
        }
      }),
      RUNS,
    );
  });

  test.each(Object.entries(decoders))('%s reads any message or calls it malformed', (_, decode) => {
    const type = fc.constantFrom(2, 3, 16, 20, 24, 28, 32);
    fc.assert(
      fc.property(type, u16, fc.oneof(bytes, plausible), (kind, flags, body) => {
        try {
          decode({ type: kind, flags, seq: 1, body });
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage);
        }
      }),
      RUNS,
    );
  });

  test('survives the damage of single bytes in real messages', () => {
    const address = { family: 4, value: 0x0a000001n } as const;
    const real = [
      vethAdd({ name: 'a', index: 7 }, { name: 'b', index: 8 }),
      vxlanAdd({ name: 'v' }, { vni: 7, port: 4789, local: address, remote: address }),
      linkSet(7, { alias: 'nsm:x/client', mtu: 1400 }),
      ruleAdd({ family: 4, from: { ...address, length: 32 }, table: 7, priority: 1 }),
      wireguardSet(30, 7, {
        privateKey: Buffer.alloc(32, 1),
        port: 7,
        peer: { publicKey: Buffer.alloc(32, 2), endpoint: { address, port: 7 }, keepalive: 1 },
        replacePeers: true,
      }),
    ];
    const damage = fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.constantFrom(...real), fc.array(damage), (request, damages) => {
        const datagram = encodeMessage({ ...request, seq: 1 });
        for (const [at, value] of damages) datagram[at % datagram.length] = value;
        for (const found of decodeMessages(datagram))
          for (const decode of Object.values(decoders))
            try {
              decode(found);
            } catch (error) {
              expect(error).toBeInstanceOf(MalformedMessage);
            }
      }),
      RUNS,
    );
  });
});
