import { describe, expect, test } from '@jest/globals';
import { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { matchEndpoint, matchesEndpointQuery, matchesServiceQuery, subset } from './matching.ts';
import { render } from './template.ts';

describe('render', () => {
  const vars = { src: 'a', 'my-key': 'b', constructor: 'c' };
  test.each([
    ['plain', 'plain'],
    ['{{ .src }}', 'a'],
    ['{{.src}}-{{.src}}', 'a-a'],
    ['x  {{- .src -}}  y', 'xay'],
    ['x  {{-.src}}  y', 'x  {{-.src}}  y'], // a trim mark needs its blank
    ['x  {{- " " -}}  y', 'x y'],
    ['x {{- /* note */ -}} y', 'xy'],
    ['{{ .none }}', '<no value>'],
    ['{{ .toString }}', '<no value>'],
    ['{{ .constructor }}', 'c'],
    ['{{ index . "my-key" }}', 'b'],
    ['{{ index . `my-key` }}', 'b'],
    ['{{ index . "none" }}', ''],
    ['{{ .my-key }}', '{{ .my-key }}'],
    ['{{ .src', '{{ .src'],
    ['{{ .src }} {{', '{{ .src }} {{'],
    ['{{ if .src }}x{{ end }}', '{{ if .src }}x{{ end }}'],
    ['}}', '}}'],
  ])('%j is %j', (template, text) => {
    expect(render(template, vars)).toBe(text);
  });
});

describe('subset', () => {
  test.each([
    [{}, {}, true],
    [{ a: '1' }, {}, true],
    [{ a: '1' }, { a: '1' }, true],
    [{ a: '1' }, { a: '2' }, false],
    [{}, { a: '' }, false], // fewer entries, although a missing one reads as empty
    [{ b: '1' }, { a: '' }, true],
    [{ a: 'x' }, { a: '{{ .want }}' }, true],
    [{ a: '{{ .want }}' }, { a: '{{ .want }}' }, true],
    [{ b: '1' }, { toString: '' }, true],
  ])('%j has %j: %j', (a, b, is) => {
    expect(subset(a, b as Record<string, string>, { want: 'x' })).toBe(is);
  });
});

const endpoint = (name: string, labels: Record<string, string>): NetworkServiceEndpoint => ({
  ...NetworkServiceEndpoint.create(),
  name,
  networkServiceNames: ['web'],
  networkServiceLabels: { web: { labels } },
  url: 'tcp://10.0.0.1:5001',
  expirationTime: { seconds: 10, nanos: 5 },
});
const all = [endpoint('a', { app: 'a' }), endpoint('b', { app: 'b' })];

describe('matchEndpoint', () => {
  const names = (labels: Record<string, string>, matches: object[]): string[] =>
    matchEndpoint(labels, NetworkService.create({ name: 'web', matches }), all).map((e) => e.name);
  const to = (app: string): object => ({ destinationSelector: { app } });

  test('without matches takes all', () => {
    expect(names({}, [])).toEqual(['a', 'b']);
  });
  test('takes the first match of the client, and none without one', () => {
    const matches = [
      { sourceSelector: { role: 'x' }, routes: [to('a')] },
      { sourceSelector: { role: 'y' }, routes: [to('b')] },
    ];
    expect(names({ role: 'y' }, matches)).toEqual(['b']);
    expect(names({ role: 'z' }, matches)).toEqual([]);
  });
  test('keeps the order of routes, and twice what two of them name', () => {
    expect(names({}, [{ routes: [to('b'), { destinationSelector: {} }] }])).toEqual([
      'b',
      'a',
      'b',
    ]);
  });
  test('renders selectors with the labels of the client', () => {
    expect(names({ want: 'b' }, [{ routes: [to('{{ .want }}')] }])).toEqual(['b']);
  });
  test('goes on after a match without candidates only where it falls through', () => {
    const rest = { routes: [to('a')] };
    expect(names({}, [{ routes: [to('c')] }, rest])).toEqual([]);
    expect(names({}, [{ routes: [to('c')], fallthrough: true }, rest])).toEqual(['a']);
  });
  test('takes all for a match that only chooses forwarders', () => {
    expect(names({}, [{ metadata: { labels: { p2p: 'true' } } }])).toEqual(['a', 'b']);
    expect(names({}, [{}])).toEqual([]);
  });
});

describe('queries', () => {
  test.each([
    [{}, true],
    [{ name: 'a' }, true],
    [{ name: 'A' }, false],
    [{ url: '0.0.1' }, true],
    [{ url: '0.0.2' }, false],
    [{ networkServiceNames: ['web'] }, true],
    [{ networkServiceNames: ['web', 'db'] }, false],
    [{ expirationTime: { seconds: 10, nanos: 0 } }, true],
    [{ expirationTime: { seconds: 11, nanos: 5 } }, false],
    [{ networkServiceLabels: { web: { labels: {} } } }, true],
    [{ networkServiceLabels: { web: { labels: { app: 'a' } } } }, true],
    [{ networkServiceLabels: { web: { labels: { app: '{{ .x }}' } } } }, false],
    [{ networkServiceLabels: { db: { labels: { app: 'a' } } } }, false],
    [{ pathIds: ['x'], initialRegistrationTime: { seconds: 1, nanos: 0 } }, true],
  ])('an endpoint passes %j: %j', (query, is) => {
    const [a] = all;
    expect(matchesEndpointQuery(NetworkServiceEndpoint.create(query), a!)).toBe(is);
  });

  const service = NetworkService.create({ name: 'web', payload: 'IP', matches: [{}] });
  test.each([
    [{}, true],
    [{ name: 'web', payload: 'IP', matches: [{}] }, true],
    [{ name: 'we' }, false],
    [{ payload: 'ETHERNET' }, false],
    [{ matches: [{ fallthrough: true }] }, false],
    [{ pathIds: ['x'] }, true],
  ])('a service passes %j: %j', (query, is) => {
    expect(matchesServiceQuery(NetworkService.create(query), service)).toBe(is);
  });
});
