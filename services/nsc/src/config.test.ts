import { describe, expect, test } from '@jest/globals';
import { settings } from './config.ts';

describe('NSM_AWARENESS_GROUPS', () => {
  const { parse } = settings.NSM_AWARENESS_GROUPS;

  test.each([
    ['', []],
    ['[kernel://a/nsm-1,kernel://b]', [['kernel://a/nsm-1', 'kernel://b']]],
    [
      '[kernel://a?x=1],[kernel://b, kernel://c]',
      [['kernel://a?x=1'], ['kernel://b', 'kernel://c']],
    ],
  ])('%j is read as groups of request URLs', (text, groups) => {
    expect(parse(text).map((group) => [...group])).toEqual(groups);
  });

  test.each([
    ['kernel://a,kernel://b', 'write it as [url,url],[url]'],
    ['[kernel://a', 'write it as [url,url],[url]'],
    ['[a]', 'write it as kernel://service/interface?label=value'],
  ])('%j is refused', (text, why) => {
    expect(() => parse(text)).toThrow(why);
  });
});
