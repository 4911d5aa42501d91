import { createHash } from 'node:crypto';
import type { Mark } from '../alias.ts';

/** What the names of our devices begin with. */
export const PREFIX = 'nw';
const DIGITS = 13;

/** The name a device is born with and its socket keeps: the same after every restart, and unique on the machine. */
export const deviceName = ({ id, side, owner = '' }: Mark): string =>
  PREFIX + createHash('sha256').update(`${owner}\0${side}\0${id}`).digest('hex').slice(0, DIGITS);
