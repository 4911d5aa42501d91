import { describe, expect, test } from '@jest/globals';
import {
  choice,
  describeSettings,
  duration,
  flag,
  integer,
  list,
  map,
  readSettings,
  SettingsError,
  text,
  url,
  urls,
} from './settings.ts';

const table = {
  NAME: text({ help: 'who' }),
  LISTEN: urls({ help: 'where', fallback: 'unix:///a.sock,tcp://:5001' }),
  UP: url({ help: 'up', fallback: 'tcp://[::1]:5002' }),
  LIFE: duration({ help: 'long', fallback: '1h30m' }),
  LABELS: map({ help: 'labels', fallback: 'a:b,c:d:e' }),
  ON: flag({ help: 'on', fallback: 'T' }),
  PORT: integer({ help: 'port', fallback: '0' }, 0, 65_535),
  NAMES: list({ help: 'names', fallback: '' }),
  LEVEL: choice({ help: 'level', fallback: 'INFO' }, 'info', 'debug'),
};

describe('settings', () => {
  test('are read with their defaults', () => {
    expect(readSettings(table, { NAME: 'x', LABELS: '' })).toEqual({
      NAME: 'x',
      LISTEN: ['unix:///a.sock', 'tcp://:5001'],
      UP: 'tcp://[::1]:5002',
      LIFE: 5_400_000,
      LABELS: { a: 'b', c: 'd:e' },
      ON: true,
      PORT: 0,
      NAMES: [],
      LEVEL: 'info',
    });
  });

  test('all faults are told at once, each with its variable and what it takes', () => {
    const env = {
      LISTEN: 'http://x',
      UP: 'tcp://x',
      LIFE: '10 minutes',
      LABELS: 'ab',
      ON: 'yes',
      PORT: '65536',
      LEVEL: 'loud',
    };
    let faults: readonly string[] = [];
    try {
      readSettings(table, env);
    } catch (err) {
      if (err instanceof SettingsError) faults = err.faults;
    }
    expect(faults.map((fault) => fault.split(/[ =]/)[0])).toEqual([
      'NAME',
      'LISTEN',
      'UP',
      'LIFE',
      'LABELS',
      'ON',
      'PORT',
      'LEVEL',
    ]);
    expect(faults[6]).toBe('PORT="65536": out of range; it takes a whole number from 0 to 65535');
  });

  test('--help lists every variable once', () => {
    expect(
      describeSettings(table)
        .split('\n')
        .map((line) => line.trim().split(' ')[0]),
    ).toEqual(Object.keys(table));
  });
});
