import { describe, expect, test } from '@jest/globals';
import { checkIdentity, identitySettings } from './identity.ts';
import { readSettings } from './settings.ts';

const check = (env: Record<string, string>): void =>
  checkIdentity(readSettings(identitySettings, env));
const FILES = 'certificate:/c.pem,key:/k.pem,bundle:/b.pem';

describe('where an identity comes from', () => {
  test.each<Record<string, string>>([
    { SPIFFE_ENDPOINT_SOCKET: 'unix:///run/spire/sockets/agent.sock' },
    { SPIFFE_ENDPOINT_SOCKET: 'tcp://127.0.0.1:8081' },
    { NSM_TLS_FILES: FILES, NSM_TLS_FEDERATED: 'other.test:/o.pem' },
    { NSM_INSECURE: 'true' },
  ])('may be %j', (env) => {
    expect(() => check(env)).not.toThrow();
  });

  test.each<[Record<string, string>, RegExp]>([
    [{}, /an identity is required.*NSM_INSECURE=true/],
    [{ NSM_INSECURE: 'true', NSM_TLS_FILES: FILES }, /from one place/],
    [{ SPIFFE_ENDPOINT_SOCKET: '/run/agent.sock' }, /unix:\/\/\/path/],
    [{ NSM_TLS_FILES: 'certificate:/c.pem,key:/k.pem' }, /all three/],
    [{ NSM_INSECURE: 'true', NSM_TLS_FEDERATED: 'a:/b' }, /goes with NSM_TLS_FILES/],
  ])('may not be %j', (env, reason) => {
    expect(() => check(env)).toThrow(reason);
  });
});
