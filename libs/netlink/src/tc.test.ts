import { describe, expect, test } from '@jest/globals';
import { nest, text, u32 } from './attribute.ts';
import { decodeLink } from './link.ts';
import { vlanAdd, vlanProbe } from './link-message.ts';
import { MalformedMessage } from './message.ts';
import { clsactAdd, clsactDelete, decodeFilter, filterDelete } from './tc.ts';

const hex = ({ body }: { readonly body: Buffer }): string => body.toString('hex');
const message = (body: Buffer): Parameters<typeof decodeLink>[0] => ({
  type: 0,
  flags: 0,
  seq: 1,
  body,
});
/** struct ifinfomsg of link `index`. */
const link = (index: string): string => `00000000${index}0000000000000000`;

describe('a VLAN link', () => {
  test('is asked for by its parent and tag: the layout of if_link.h', () => {
    expect(hex(vlanAdd({ name: 'v', index: 9 }, 5, 100))).toBe(
      link('09000000') +
        '0600030076000000' + // IFLA_IFNAME
        '0800050005000000' + // IFLA_LINK
        '1c001280' + // IFLA_LINKINFO
        '09000100766c616e00000000' + // IFLA_INFO_KIND
        '0c0002800600010064000000', // IFLA_INFO_DATA: IFLA_VLAN_ID
    );
  });

  test('is read back with both', () => {
    const { body } = vlanAdd({ name: 'v', index: 9 }, 5, 4094);
    expect(decodeLink(message(body))).toMatchObject({
      index: 9,
      name: 'v',
      kind: 'vlan',
      vlan: { tag: 4094, parent: 5 },
    });
  });

  test('is probed for without a tag', () => {
    expect(hex(vlanProbe())).not.toContain('02800600');
    expect(hex(vlanProbe())).toContain('766c616e');
  });
});

describe('traffic control', () => {
  test('qdisc: the layout of rtnetlink.h', () => {
    expect(hex(clsactAdd(5))).toBe(
      '00000000' + '05000000' + '0000ffff' + 'f1ffffff' + '00000000' + '0b000100636c736163740000',
    );
    expect(hex(clsactDelete(5))).toBe(
      '00000000' + '05000000' + '0000ffff' + 'f1ffffff' + '00000000',
    );
  });

  test('filter: at the ingress, for every protocol, by our priority and its handle', () => {
    expect(hex(filterDelete(5, 100))).toBe(
      '00000000' + '05000000' + '64000000' + 'f2ffffff' + '0003534e' + '0800010062706600',
    );
  });

  /** What the kernel tells of a filter. */
  const filter = (handle: number, priority: number, kind: string, ...options: Buffer[]) => {
    const header = Buffer.alloc(20);
    header.writeUInt32LE(handle, 8);
    header.writeUInt32LE(((priority << 16) | 0x0300) >>> 0, 16);
    return message(Buffer.concat([header, text(1, kind), nest(2, ...options)]));
  };

  test.each([
    ['ours', 0x4e53, 'bpf', 'ingress', { name: 'nsm pop 7', ours: true }],
    ['of another priority', 1, 'bpf', 'ingress', { name: 'nsm pop 7', ours: false }],
    ['at the egress', 0x4e53, 'bpf', 'egress', { name: 'nsm pop 7', ours: false }],
    ['of another kind', 0x4e53, 'u32', 'ingress', { name: '', ours: false }],
  ] as const)('a filter %s is told as such', (_, priority, kind, hook, told) => {
    const read = decodeFilter(hook, filter(7, priority, kind, u32(6, 1), text(7, 'nsm pop 7')));
    expect(read).toEqual({ hook, handle: 7, ...told });
  });

  test('the head of a list is no filter, and half a message is none either', () => {
    expect(decodeFilter('ingress', filter(0, 0x4e53, 'bpf'))).toBeUndefined();
    expect(() => decodeFilter('ingress', message(Buffer.alloc(6)))).toThrow(MalformedMessage);
  });
});
