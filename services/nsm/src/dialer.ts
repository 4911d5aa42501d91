import { systemClock } from '@nsm/chain';
import { createGrpcTransport, NsmError, type Dialer } from '@nsm/rpc';
import {
  checkIdentity,
  createLogger,
  identitySettings,
  openIdentity,
  readSettings,
  SettingsError,
} from '@nsm/service';

/** How this command proves itself to a mesh: by the variables that every process of it has. @throws NsmError unauthenticated */
export function dialerFrom(env: Readonly<Record<string, string | undefined>>): Dialer {
  const settings = readSettings(identitySettings, env);
  try {
    checkIdentity(settings);
  } catch (cause) {
    if (!(cause instanceof SettingsError)) throw cause;
    const [message = '', ...more] = cause.faults;
    throw new NsmError('unauthenticated', message, { cause, hint: more.join('; ') || undefined });
  }
  const identity = openIdentity(settings, {
    log: createLogger('nsm', 'silent'),
    clock: systemClock,
    random: Math.random,
  });
  const transport = createGrpcTransport(identity);
  return {
    ...transport,
    close: () => {
      transport.close();
      identity?.close();
    },
  };
}
