import { expect, test } from '@jest/globals';
import { whyNoIpsec } from './ipsec.ts';

test('the reason against IPSEC is this node’s own, and names what carries packets instead', () => {
  expect(whyNoIpsec()).toMatch(
    /^(the kernel of this node refuses ESP \(.+\)|its keys are agreed on by IKEv2, .+); ask for WIREGUARD/,
  );
});
