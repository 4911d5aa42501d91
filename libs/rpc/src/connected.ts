import { connectivityState, type Channel } from '@grpc/grpc-js';

/** Waits until a channel has a connection, has failed to make one, or `until` has passed (ms since 1970). */
export async function connected(
  channel: Channel,
  signal: AbortSignal | undefined,
  until = Infinity,
): Promise<'ready' | 'failed' | 'late'> {
  for (;;) {
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return 'ready';
    if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN)
      return 'failed';
    const changed = Promise.withResolvers<'late' | undefined>();
    const stop = (): void => changed.reject(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      signal?.throwIfAborted();
      channel.watchConnectivityState(state, until, (late) =>
        late ? changed.resolve('late') : changed.resolve(undefined),
      );
      if ((await changed.promise) === 'late') return 'late';
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }
}
