import type { Socket } from 'node:net';
import { ChannelCredentials } from '@grpc/grpc-js';
import { takeOver, type UnixStream } from './unix-stream.ts';

type Inner = Parameters<ChannelCredentials['_createSecureConnector']>;

/**
 * Channel credentials that put a stream of ours below those given, so that descriptors go and come beside the bytes. The library has
 * no hook for its transport: this is the one place between its connected socket and whatever it does with it, and the server of a unix
 * socket has a stream of its own at the other end.
 */
export class OverUnix extends ChannelCredentials {
  readonly #inner: ChannelCredentials;
  #newest: UnixStream | undefined;

  constructor(inner: ChannelCredentials) {
    super();
    this.#inner = inner;
  }

  /** The connection of the channel; undefined: there is none now. */
  get stream(): UnixStream | undefined {
    return this.#newest?.destroyed === false ? this.#newest : undefined;
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
      connect: (socket) => {
        const stream = takeOver(socket);
        this.#newest = stream;
        // The library takes it for a socket; Node does with any stream what it does with one.
        return connector.connect(stream as unknown as Socket);
      },
    };
  }
}
