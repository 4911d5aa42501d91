import { describe, expect, test } from '@jest/globals';
import type { PathSegment } from '@nsm/proto';
import { answerOf, callOf, passedOn } from '../testing.ts';
import { updatePath } from './update-path.ts';

const ids = () => {
  let n = 0;
  return () => `new-${++n}`;
};
const segment = (name: string, id: string): PathSegment => ({
  name,
  id,
  token: '',
  expires: undefined,
  metrics: {},
});
const path = (index: number, ...segments: [string, string][]) => ({
  index,
  pathSegments: segments.map(([name, id]) => segment(name, id)),
});

describe('update-path', () => {
  // The cases of contract 2.2.
  test.each([
    {
      name: 'A: the origin keeps its id',
      in: { id: 'mine' },
      below: { id: 'mine', index: 0, path: ['N/mine'] },
      back: { id: 'mine', index: 0 },
    },
    {
      name: 'A: the origin without an id gets one',
      in: {},
      below: { id: 'new-1', index: 0, path: ['N/new-1'] },
      back: { id: 'new-1', index: 0 },
    },
    {
      name: 'B: the same hop is not entered twice',
      in: { id: 'x', path: path(1, ['a', 'x'], ['N', 'n']) },
      below: { id: 'n', index: 1, path: ['a/x', 'N/n'] },
      back: { id: 'n', index: 1 },
    },
    {
      name: 'E: the path is extended',
      in: { id: 'x', path: path(0, ['a', 'x']) },
      below: { id: 'new-1', index: 1, path: ['a/x', 'N/new-1'] },
      back: { id: 'x', index: 0 },
    },
    {
      name: 'F: a refresh finds its own segment',
      in: { id: 'x', path: path(0, ['a', 'x'], ['N', 'n'], ['b', 'y']) },
      below: { id: 'n', index: 1, path: ['a/x', 'N/n', 'b/y'] },
      back: { id: 'x', index: 0 },
    },
    {
      name: 'G: the segment of another hop is replaced',
      in: { id: 'x', path: path(0, ['a', 'x'], ['M', 'm'], ['b', 'y']) },
      below: { id: 'new-1', index: 1, path: ['a/x', 'N/new-1', 'b/y'] },
      back: { id: 'x', index: 0 },
    },
  ])('$name', async ({ in: connection, below, back }) => {
    const seen = (await passedOn(updatePath('N', ids()), callOf(connection))).connection;
    expect({
      id: seen.id,
      index: seen.path?.index,
      path: seen.path?.pathSegments.map(({ name, id }) => `${name}/${id}`),
    }).toEqual(below);
    const answer = await answerOf(updatePath('N', ids()), callOf(connection));
    expect({ id: answer.id, index: answer.path?.index }).toEqual(back);
  });

  test.each([
    {
      name: 'C: an index beyond the path',
      in: { id: 'x', path: path(1, ['a', 'x']) },
      text: 'Path.Index+1==2 should be less or equal len(Path.PathSegments)==1',
    },
    {
      name: 'D: an id that is not that of the segment',
      in: { id: 'z', path: path(0, ['a', 'x']) },
      text: 'Current PathSegment.Id==x should be equal Connection.Id==z',
    },
  ])('$name is refused', async ({ in: connection, text }) => {
    await expect(answerOf(updatePath('N', ids()), callOf(connection))).rejects.toMatchObject({
      code: 'invalid-argument',
      message: text,
    });
    await expect(
      answerOf(updatePath('N', ids()), callOf(connection, { op: 'close' })),
    ).rejects.toMatchObject({ message: text });
  });
});
