import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { report } from './check.ts';
import { withProgram } from './check-host.ts';
import { capabilityFindings, kernelFindings } from './preflight.ts';

const without =
  (...missing: readonly string[]) =>
  (feature: string): void => {
    if (missing.includes(feature)) throw new Error(`no ${feature}`);
  };
const stateOf = (name: string, ...missing: readonly string[]): string | undefined =>
  kernelFindings(without(...missing)).find((finding) => finding.name === name)?.state;

describe('the kernel', () => {
  test.each([
    ['veth', ['veth'], 'missing'],
    ['vxlan over IPv6', ['vxlan6'], 'warning'],
    ['vlan', ['vlan'], 'ok'],
    ['vlan', ['vlan', 'bpf'], 'warning'],
  ])('%s without %j is %s', (name, missing, state) => {
    expect(stateOf(name, ...missing)).toBe(state);
  });

  test('a stand-in is told, and both causes where there is none', () => {
    const vlan = (...missing: string[]) =>
      kernelFindings(without(...missing)).find(({ name }) => name === 'vlan')?.detail;
    expect(vlan('vlan')).toContain('eBPF');
    expect(vlan('vlan', 'bpf')).toBe('no vlan; no bpf');
  });

  test.each([
    ['/usr/bin/wireguard-go', ['wireguard'], 'by /usr/bin/wireguard-go'],
    [undefined, ['wireguard'], 'there is no wireguard-go in PATH'],
    ['/usr/bin/wireguard-go', ['wireguard', 'tun'], 'no wireguard'],
    ['/usr/bin/wireguard-go', [], 'works'],
  ])('wireguard with %s and without %j', (program, missing, detail) => {
    const findings = withProgram(kernelFindings(without(...missing)), program);
    expect(findings.find(({ name }) => name === 'wireguard')?.detail).toContain(detail);
  });
});

describe('privileges', () => {
  const NET_ADMIN_ALONE = 'Name:\tnode\nCapEff:\t0000000000001000\n';

  test('capabilities are read from the bits in force', () => {
    const states = capabilityFindings(NET_ADMIN_ALONE, false).map(({ name, state }) => [
      name,
      state,
    ]);
    expect(states).toEqual([
      ['CAP_NET_ADMIN', 'ok'],
      ['CAP_SYS_ADMIN', 'missing'],
      ['CAP_SYS_PTRACE', 'warning'],
      ['CAP_NET_RAW', 'warning'],
    ]);
  });

  test('where labs run in a user namespace, none of them is required', () => {
    const states = capabilityFindings('CapEff:\t0000000000000000\n', true).map(
      ({ state }) => state,
    );
    expect(new Set(states)).toEqual(new Set(['warning']));
  });
});

test('the report tells cause, purpose and remedy of what is missing, and a verdict', () => {
  const text = stripVTControlCharacters(report(kernelFindings(without('veth', 'wireguard'))));
  expect(text).toContain(
    `✗ veth                      no veth
                            for: wires within a node
                            remedy: modprobe veth; or a kernel with CONFIG_VETH
`,
  );
  expect(text).toContain('\n! wireguard ');
  expect(text).toMatch(/1 of what a mesh needs is missing here\.\n$/);
});
