import { pino, type Logger as PinoLogger } from 'pino';

/** JSON lines. info: one line per outcome; debug: per element; error: somebody must act. */
export type Logger = Pick<PinoLogger, 'trace' | 'debug' | 'info' | 'warn' | 'error'> & {
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

/** Logs to standard output, without holding up what is logged about; what is waiting is written at the exit. */
export const createLogger = (name: string, level: string): Logger =>
  pino(
    {
      name,
      level,
      redact: SECRET,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), bindings: () => ({ name }) },
    },
    pino.destination({ dest: 1, sync: false }),
  );
