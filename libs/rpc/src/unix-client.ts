import type { Socket } from 'node:net';
import { ChannelCredentials } from '@grpc/grpc-js';
import type { Followed } from './call-descriptors.ts';
import { takeOver, type UnixStream } from './unix-stream.ts';

type Inner = Parameters<ChannelCredentials['_createSecureConnector']>;

/**
 * Channel credentials that put a stream of ours below those given, so that descriptors go and come beside the bytes. The library has
 * no hook for its transport: this is the one place between its connected socket and whatever it does with it, and the server of a unix
 * socket has a stream of its own at the other end.
 */
export class OverUnix extends ChannelCredentials implements Followed {
  readonly #inner: ChannelCredentials;
  /** Its last connection whose other end has proven who it is. */
  #newest: UnixStream | undefined;
  readonly #followers = new Set<Parameters<Followed['follow']>[0]>();

  constructor(inner: ChannelCredentials) {
    super();
    this.#inner = inner;
  }

  follow(to: Parameters<Followed['follow']>[0]): () => void {
    if (this.#newest) to(this.#newest);
    this.#followers.add(to);
    return () => void this.#followers.delete(to);
  }

  _isSecure(): boolean {
    return this.#inner._isSecure();
  }

  _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  _createSecureConnector(...args: Inner): ReturnType<ChannelCredentials['_createSecureConnector']> {
    const connector = this.#inner._createSecureConnector(...args);
    return {
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
      connect: async (socket) => {
        const stream = takeOver(socket);
        // The library takes it for a socket; Node does with any stream what it does with one.
        const connected = await connector.connect(stream as unknown as Socket);
        this.#newest = stream;
        for (const to of this.#followers) to(stream);
        return connected;
      },
    };
  }
}
