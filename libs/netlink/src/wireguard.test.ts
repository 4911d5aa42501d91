import { describe, expect, test } from '@jest/globals';
import { parseAddress } from '@nsm/ip';
import { attribute, text, u16, u32 } from './attribute.ts';
import { familyOf } from './generic.ts';
import { wireguardAdd } from './link-message.ts';
import { MalformedMessage, type Message, type Request } from './message.ts';
import type { Rtnetlink } from './socket.ts';
import { decodeWireguard, readWireguard, setWireguard, wireguardSet } from './wireguard.ts';

const OURS = Buffer.alloc(32, 0xaa);
const THEIRS = Buffer.alloc(32, 0xbb);
const hex = ({ body }: { readonly body: Buffer }): string => body.toString('hex');
const message = (body: Buffer): Message => ({ type: 30, flags: 0, seq: 1, body });
const setting = (remote: string, replacePeers: boolean) => ({
  privateKey: OURS,
  port: 51_821,
  peer: {
    publicKey: THEIRS,
    endpoint: { address: parseAddress(remote), port: 51_830 },
    keepalive: 10,
  },
  replacePeers,
});
/** What a program in C writes with the structures and numbers of linux/wireguard.h: all addresses of both families. */
const EVERYTHING =
  '48000980' + // WGPEER_A_ALLOWEDIPS
  '1c000080' + // the first
  '0600010002000000' + // WGALLOWEDIP_A_FAMILY: AF_INET
  '0800020000000000' + // WGALLOWEDIP_A_IPADDR
  '0500030000000000' + // WGALLOWEDIP_A_CIDR_MASK
  '28000080' + // the second
  '060001000a000000' + // AF_INET6
  '1400020000000000000000000000000000000000' +
  '0500030000000000';

describe('a WireGuard device of the kernel', () => {
  test('is a link of its kind', () => {
    expect(hex(wireguardAdd({ name: 'w', index: 9, mtu: 1440 }))).toBe(
      '00000000090000000000000000000000' +
        '0600030077000000' + // IFLA_IFNAME
        '08000400a0050000' + // IFLA_MTU
        '14001280' + // IFLA_LINKINFO
        '0e0001007769726567756172' + // IFLA_INFO_KIND
        '64000000',
    );
  });

  test('is set in one message: the layout of wireguard.h', () => {
    expect(hex(wireguardSet(30, 5, setting('192.0.2.2', true)))).toBe(
      '01010000' + // WG_CMD_SET_DEVICE, version 1
        '0800010005000000' + // WGDEVICE_A_IFINDEX
        '0800050001000000' + // WGDEVICE_A_FLAGS: WGDEVICE_F_REPLACE_PEERS
        `24000300${'aa'.repeat(32)}` + // WGDEVICE_A_PRIVATE_KEY
        '060006006dca0000' + // WGDEVICE_A_LISTEN_PORT
        '98000880' + // WGDEVICE_A_PEERS
        '94000080' + // the only one
        `24000100${'bb'.repeat(32)}` + // WGPEER_A_PUBLIC_KEY
        '0800030002000000' + // WGPEER_A_FLAGS: WGPEER_F_REPLACE_ALLOWEDIPS
        '14000400' + // WGPEER_A_ENDPOINT: struct sockaddr_in
        '0200ca76c00002020000000000000000' +
        '060005000a000000' + // WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL
        EVERYTHING,
    );
  });

  test('has its peer over IPv6 too', () => {
    expect(hex(wireguardSet(30, 5, setting('fd00::2', true)))).toContain(
      '20000400' + '0a00ca7600000000' + 'fd000000000000000000000000000002' + '00000000',
    );
  });

  test('keeps the peers it has unless they are to go', () => {
    expect(hex(wireguardSet(30, 5, setting('192.0.2.2', false)))).toContain('0800050000000000');
  });

  test('is spoken of without its private key', () => {
    const { words } = wireguardSet(30, { index: 5, name: 'nsm-1' }, setting('192.0.2.2', true));
    expect(words).toBe(`wg set nsm-1 listen-port 51821 peer ${THEIRS.toString('base64')}`);
  });

  test('is read back with its keys, port and peers', () => {
    expect(decodeWireguard(message(wireguardSet(30, 5, setting('fd00::2', true)).body))).toEqual({
      privateKey: OURS,
      port: 51_821,
      peers: [{ publicKey: THEIRS, endpoint: { address: parseAddress('fd00::2'), port: 51_830 } }],
    });
  });

  test('that has no key and no peer yet is read as such', () => {
    const bare = Buffer.concat([Buffer.from([0, 1, 0, 0]), u32(1, 5), text(2, 'w'), u16(6, 0)]);
    expect(decodeWireguard(message(bare))).toEqual({ port: 0, peers: [] });
  });

  test('with half an endpoint is malformed', () => {
    const peers = Buffer.concat([Buffer.alloc(4), attribute(4, Buffer.from([10, 0]))]);
    peers.writeUInt16LE(peers.length, 0);
    const body = Buffer.concat([Buffer.from([0, 1, 0, 0]), attribute(8, peers)]);
    expect(() => decodeWireguard(message(body))).toThrow(MalformedMessage);
  });
});

describe('generic netlink', () => {
  /** A kernel whose only family is wireguard, number 30, and whose device answers with these messages. */
  const kernel = (families: readonly string[], answers: readonly Buffer[] = []) => {
    const asked: Request[] = [];
    const genetlink: Rtnetlink = {
      request: (requests) => void asked.push(...requests),
      dump: (request) => {
        asked.push(request);
        return answers.map(message);
      },
      get: ({ type, body }) => {
        expect(type).toBe(16); // GENL_ID_CTRL
        expect(body.toString('hex', 0, 4)).toBe('03010000'); // CTRL_CMD_GETFAMILY
        const name = body.toString('utf8', 8, body.indexOf(0, 8));
        // CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_FAMILY_ID
        return families.includes(name)
          ? message(Buffer.concat([Buffer.from([1, 2, 0, 0]), text(2, name), u16(1, 30)]))
          : undefined;
      },
      close: () => undefined,
    };
    return { genetlink, asked };
  };

  test('has families that are found by their names', () => {
    const { genetlink } = kernel(['wireguard']);
    expect(familyOf(genetlink, 'wireguard')).toBe(30);
    expect(familyOf(genetlink, 'ovs_datapath')).toBeUndefined();
  });

  test('sets a device by the number of the family', () => {
    const { genetlink, asked } = kernel(['wireguard']);
    setWireguard(genetlink, 5, setting('192.0.2.2', true));
    expect(asked).toMatchObject([{ type: 30, flags: 0 }]);
  });

  test('refuses it where the kernel has no such family', () => {
    const { genetlink, asked } = kernel([]);
    expect(() => setWireguard(genetlink, 5, setting('192.0.2.2', true))).toThrow(
      expect.objectContaining({ code: 'EOPNOTSUPP' }),
    );
    expect(asked).toEqual([]);
  });

  test('tells of a device in several messages, and of a peer in two of them', () => {
    const whole = wireguardSet(30, 5, setting('192.0.2.2', true)).body;
    // Of the rest of a peer's addresses the kernel tells with its key alone.
    const peer = attribute(0, attribute(1, THEIRS));
    const rest = Buffer.concat([Buffer.from([0, 1, 0, 0]), attribute(8, peer)]);
    const { genetlink } = kernel(['wireguard'], [whole, rest]);
    expect(readWireguard(genetlink, 5)).toMatchObject({
      privateKey: OURS,
      port: 51_821,
      peers: [{ publicKey: THEIRS, endpoint: { port: 51_830 } }],
    });
  });
});
