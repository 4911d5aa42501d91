import { withConnection, type ConnectionElement } from '../call.ts';

/** Adds labels that say where the client is, unless it says so itself (contract 3.7). */
export const clientInfo = (labels: Readonly<Record<string, string>>): ConnectionElement => ({
  name: 'client-info',
  run: (call, next) =>
    next(withConnection(call, { labels: { ...labels, ...call.connection.labels } })),
});
