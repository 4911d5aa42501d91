import { describe, expect, test } from '@jest/globals';
import { Scope, untraced } from '@nsm/chain';
import { createFakeClock } from '@nsm/chain/testing';
import { insecureTokens } from '@nsm/identity';
import { NetworkService } from '@nsm/proto';
import { answer, type RegistryCall } from '../call.ts';
import { emptyPath, formatPath, parsePath } from '../registry-path.ts';
import { updatePath } from './update-path.ts';

const clock = createFakeClock();
const own = (
  await insecureTokens('reg', 60_000, clock).issue({ spiffeId: 'spiffe://insecure/nse' })
).token;
const caller = await insecureTokens('nse', 60_000, clock).issue(undefined);

const run = (fields: Partial<RegistryCall<NetworkService>>, at = { index: -1 }) =>
  updatePath<NetworkService>(insecureTokens('reg', 60_000, clock)).run(
    {
      op: 'register',
      entry: NetworkService.create({ name: 'web' }),
      path: emptyPath,
      token: caller,
      own: undefined,
      deadline: undefined,
      scope: new Scope(),
      signal: new AbortController().signal,
      trace: untraced,
      ...fields,
    },
    (call) => {
      at.index = call.path.index;
      return answer(call);
    },
  );

describe('update-path', () => {
  test('begins a path with the caller and itself', async () => {
    const at = { index: -1 };
    const { entry, path } = await run({}, at);
    expect(at.index).toBe(1);
    expect(path).toEqual({ index: 0, tokens: [caller.token, own] });
    expect(entry.pathIds).toEqual(['spiffe://insecure/nse', 'spiffe://insecure/reg']);
  });

  test('appends itself to a path, and takes its old place in one that came back', async () => {
    const appended = await run({ path: { index: 1, tokens: ['a', 'b'] } });
    expect(appended.path).toEqual({ index: 1, tokens: ['a', caller.token, own] });
    const refreshed = await run({ path: { index: 0, tokens: ['a', 'b', 'c'] } });
    expect(refreshed.path).toEqual({ index: 0, tokens: [caller.token, own, 'c'] });
  });

  test('leaves the part of a caller without a token', async () => {
    const { path } = await run({ token: undefined, path: { index: 0, tokens: ['a'] } });
    expect(path.tokens).toEqual(['a', expect.any(String)]);
  });

  test('refuses an index beyond the path', async () => {
    await expect(run({ path: { index: 2, tokens: ['a', 'b'] } })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'path: Path.Index+1==3 should be less or equal len(Path.PathSegments)==2',
    });
  });
});

describe('the path header', () => {
  test('is what upstream sends', () => {
    expect(formatPath(emptyPath)).toBe('{"Index":0,"PathSegments":null}');
    expect(formatPath({ index: 1, tokens: ['a'] })).toBe(
      '{"Index":1,"PathSegments":[{"token":"a"}]}',
    );
  });

  test.each(['{"Index":0,"PathSegments":null}', '{}', '{"PathSegments":[]}'])(
    '%s is empty',
    (text) => {
      expect(parsePath(text)).toEqual(emptyPath);
    },
  );

  test.each([
    '',
    '[]',
    'null',
    '1',
    '{"Index":"0"}',
    '{"Index":0.5}',
    '{"Index":4294967296}',
    '{"PathSegments":{}}',
    '{"PathSegments":[{"token":1}]}',
  ])('%s is refused', (text) => {
    expect(() => parsePath(text)).toThrow('path: malformed metadata');
  });
});
