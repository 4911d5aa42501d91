import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { uptime } from 'node:os';
import { Duplex } from 'node:stream';
import {
  duplicate,
  endWrites,
  peerNetns,
  unixReader,
  unixWrite,
  watchDescriptor,
} from '@nsm/netlink';
import { acceptedOf, sessionOf } from './accepted.ts';
import type { Descriptors } from './descriptors.ts';
import { NsmError } from './error.ts';
import { ReceivedDescriptors } from './received.ts';

/** Bytes of one turn of the event loop: other connections have their turn too. */
const READS_PER_TURN = 4;
/** As many descriptors go with one write (contract 4.9). */
const MAX_PER_WRITE = 64;

const read = unixReader();

/** A connected unix socket as a stream, with the descriptors that go beside its bytes (contract 4.9), below TLS. */
export class UnixStream extends Duplex implements Descriptors {
  readonly #fd: number;
  readonly #since = uptime();
  readonly #watch: ReturnType<typeof watchDescriptor>;
  readonly #received = new ReceivedDescriptors();
  #outgoing: number[] = [];
  #wantsBytes = false;
  #watched = { readable: false, writable: false };
  /** What a full socket has not taken, and who waits for it. */
  #unsent: { data: Buffer; done: (error?: Error | null) => void } | undefined;

  /** Takes over the descriptor of a connected socket that nobody else reads. */
  constructor(fd: number) {
    super();
    // No protocol above goes on with half a connection; but what it writes until it hears of the end is no error of its own.
    this.once('end', () => this.destroy());
    this.#fd = fd;
    this.#watch = watchDescriptor(fd, {}, () => this.#onReady());
  }

  send(fd: number): void {
    if (this.destroyed) return;
    this.#outgoing.push(duplicate(fd));
  }

  arrived(inode: string): number | undefined {
    return this.#received.take(inode, duplicate);
  }

  shown(inode: string): number | undefined {
    return this.#received.copy(inode, duplicate);
  }

  async receive(inode: string, signal: AbortSignal): Promise<number> {
    for (;;) {
      const fd = this.arrived(inode);
      if (fd !== undefined) return fd;
      if (this.#received.ended)
        throw new NsmError('unavailable', `the connection ended before ${inode} came`);
      await this.#received.arrival(inode, signal);
    }
  }

  peerNetns(): number {
    // By then the number of the descriptor may be that of another peer's connection.
    if (this.destroyed)
      throw Object.assign(new Error('the connection has ended'), { code: 'ESRCH' });
    return peerNetns(this.#fd, { before: this.#since });
  }

  override _read(): void {
    this.#wantsBytes = true;
    this.#interested();
  }

  override _write(
    data: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.#unsent = { data, done };
    this.#flush();
  }

  override _final(done: (error?: Error | null) => void): void {
    try {
      endWrites(this.#fd);
    } catch {
      // The other side was faster.
    }
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#watch.close();
    closeSync(this.#fd);
    this.#received.end();
    for (const fd of this.#outgoing) closeSync(fd);
    this.#outgoing = [];
    done(error);
  }

  #interested(): void {
    const [readable, writable] = [this.#wantsBytes, this.#unsent !== undefined];
    if (this.#watched.readable === readable && this.#watched.writable === writable) return;
    this.#watched = { readable, writable };
    this.#watch.set(this.#watched);
  }

  #onReady(): void {
    if (this.destroyed) return;
    if (this.#unsent) this.#flush();
    if (this.#wantsBytes) this.#fill();
  }

  #fill(): void {
    try {
      for (let reads = 0; reads < READS_PER_TURN && this.#wantsBytes && !this.destroyed;) {
        const arrival = read(this.#fd);
        if (arrival === undefined) return;
        reads += 1;
        for (const fd of arrival.descriptors) this.#received.put(fd);
        const ended = arrival.data.length === 0;
        // Asked for more while it is pushed, it is set again.
        this.#wantsBytes = false;
        if (this.push(ended ? null : arrival.data) && !ended) this.#wantsBytes = true;
        if (!arrival.full) break;
      }
      if (!this.destroyed) this.#interested();
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #flush(): void {
    if (!this.#unsent) return;
    const { done } = this.#unsent;
    let { data } = this.#unsent;
    try {
      for (let beside = 0; data.length > 0;) {
        const descriptor = beside < MAX_PER_WRITE ? this.#outgoing[0] : undefined;
        const taken = unixWrite(this.#fd, data, descriptor);
        if (taken === 0) {
          this.#unsent = { data, done };
          this.#interested();
          return;
        }
        data = data.subarray(taken);
        if (descriptor === undefined) continue;
        beside += 1;
        this.#outgoing.shift();
        closeSync(descriptor);
      }
      this.#unsent = undefined;
      this.#interested();
      done();
    } catch (error) {
      this.#unsent = undefined;
      done(reset(error as Error));
    }
  }
}

/** The library knows a connection that has ended by one code alone. */
const reset = (error: Error & { code?: string }): Error =>
  error.code === 'EPIPE'
    ? Object.assign(new Error(error.message, { cause: error }), { code: 'ECONNRESET' })
    : error;

/**
 * Makes a stream of a socket that has just been connected or accepted and was not read from, in its place. Whoever owns the socket
 * finds it destroyed.
 */
export function takeOver(socket: Socket): UnixStream {
  // There is no other way to a socket's descriptor.
  const fd = duplicate((socket as unknown as { _handle: { fd: number } })._handle.fd);
  socket.destroy();
  return new UnixStream(fd);
}

/** The connection a call came on; undefined where it carries no descriptors. */
export function descriptorsOf(call: object): Descriptors | undefined {
  const session = sessionOf(call);
  const stream = session && acceptedOf(session)?.stream;
  return stream instanceof UnixStream ? stream : undefined;
}
