import { describe, expect, test } from '@jest/globals';
import {
  attribute,
  attributes,
  be16,
  entries,
  nest,
  readText,
  readU32,
  text,
  u32,
  u8,
} from './attribute.ts';

describe('netlink attributes', () => {
  test('are encoded as the kernel wants them', () => {
    expect(text(3, 'lo').toString('hex')).toBe('07000300' + '6c6f0000');
    expect(u32(4, 1500).toString('hex')).toBe('08000400' + 'dc050000');
    expect(u8(7, 1).toString('hex')).toBe('05000700' + '01000000');
    expect(be16(15, 4789).toString('hex')).toBe('06000f00' + '12b50000');
    expect(nest(18, text(1, 'veth')).toString('hex')).toBe(
      '10001280' + '09000100' + '7665746800000000',
    );
  });

  test('are read whatever they carry', () => {
    for (let i = 0; i < 300; i += 1) {
      const wanted = Array.from({ length: 8 }, (_, type) => ({
        type,
        payload: Buffer.from(
          Array.from({ length: Math.floor(Math.random() * 20) }, () =>
            Math.floor(Math.random() * 256),
          ),
        ),
      }));
      const found = attributes(
        Buffer.concat(wanted.map(({ type, payload }) => attribute(type, payload))),
      );
      for (const { type, payload } of wanted)
        expect(found.get(type)?.toString('hex')).toBe(payload.toString('hex'));
    }
  });

  test('nested flag and padding are not part of the value', () => {
    const inner = attributes(
      attributes(nest(18, text(1, 'vxlan'), u32(2, 7))).get(18) ?? Buffer.alloc(0),
    );
    expect(readText(inner.get(1))).toBe('vxlan');
    expect(readU32(inner.get(2))).toBe(7);
  });

  test('that claim to be longer than they are end the reading', () => {
    const broken = Buffer.concat([u32(1, 5), Buffer.from('ff00020000000000', 'hex')]);
    expect(entries(broken).map(([type]) => type)).toEqual([1]);
    expect(attributes(broken).get(2)).toBeUndefined();
    expect(entries(Buffer.from('0100', 'hex'))).toEqual([]);
    expect(entries(Buffer.from('02000100', 'hex'))).toEqual([]);
    expect(readText(undefined)).toBeUndefined();
    expect(readU32(Buffer.alloc(2))).toBeUndefined();
  });
});
