import type { Duplex } from 'node:stream';
import { mark, type Accepted } from './accepted.ts';
import { counted } from './counted.ts';
import { NsmError } from './error.ts';
import { spread, type Limits, type OnLimit } from './limits.ts';

/** Keeps the limits of connections, from the first byte on. */
export interface ConnectionLimits {
  /** A connection has come. */
  accept(stream: Duplex): Accepted;
  /**
   * The other end of it has proven who it is, through `socket`. Where that has too many connections already its calls are refused; it
   * is cut if none comes.
   */
  proven(accepted: Accepted, socket: Duplex, spiffeId: string): void;
}

export function createConnectionLimits(limits: Limits, onLimit: OnLimit): ConnectionLimits {
  const enter = counted('connections', limits.connectionsPerIdentity);
  return {
    accept: (stream) => {
      const accepted: Accepted = {
        stream,
        refusal: undefined,
        calls: 0,
        restingSince: performance.now(),
        takenBack: { count: 0, at: performance.now() },
      };
      mark(stream, accepted);
      // The library closes what is idle, and tells nobody.
      stream.once('close', () => {
        const idle = accepted.calls === 0 ? performance.now() - accepted.restingSince : 0;
        if (idle >= limits.idleMs) onLimit('idle', undefined);
      });
      return accepted;
    },
    proven: (accepted, socket, spiffeId) => {
      mark(socket, accepted);
      try {
        socket.once('close', enter(spiffeId));
      } catch (err) {
        accepted.refusal = NsmError.from(err);
        onLimit('connections', spiffeId);
        const timer = setTimeout(() => socket.destroy(), spread(limits.halfOpenMs)).unref();
        socket.once('close', () => clearTimeout(timer));
      }
    },
  };
}
