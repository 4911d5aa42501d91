import { pino, type Logger as PinoLogger } from 'pino';

/** JSON lines. info: one line per outcome; debug: per element; error: somebody must act. */
export type Logger = Pick<
  PinoLogger,
  'trace' | 'debug' | 'info' | 'warn' | 'error' | 'isLevelEnabled'
> & {
  child(fields: Record<string, unknown>): Logger;
  level: string;
};

/** Fields that may carry secrets are masked wherever they are logged. */
const SECRET = [
  'token',
  '*.token',
  '*.*.token',
  'headers["nsm-client-token"]',
  'privateKey',
  '*.privateKey',
];

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error'] as const;

/** Time the last lines get to be written, in ms. */
const WRITE_LIMIT_MS = 1_000;

/** The log of a process. */
export interface ProcessLog extends Logger {
  /**
   * Writes a last line, and waits until it is written or cannot be. What waits at the exit of the process is tried again for ever
   * where the reader is gone; here that is heard of.
   */
  end(text: string): Promise<void>;
}

/**
 * Logs to standard output, without holding up what is logged about; what is waiting is written at the exit. `also` are fields of every
 * line, taken when it is written.
 */
export function createLogger(
  name: string,
  level: string,
  also?: () => Readonly<Record<string, string>>,
): ProcessLog {
  const destination = pino.destination({ dest: 1, sync: false });
  const log = pino(
    {
      name,
      level,
      ...(also && { mixin: also }),
      redact: SECRET,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), bindings: () => ({ name }) },
    },
    destination,
  );
  const end = (text: string): Promise<void> =>
    new Promise((resolve) => {
      destination.once('drain', resolve).once('error', () => resolve());
      setTimeout(resolve, log.isLevelEnabled('info') ? WRITE_LIMIT_MS : 0);
      log.info(text);
    });
  return Object.assign(log, { end });
}
