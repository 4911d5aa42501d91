// A server that answers a Request with its connection and does nothing else. Usage: node echo.ts URL
import { Empty, NetworkServiceDefinition } from '@nsm/proto';
import { createGrpcTransport, NsmError, service } from '@nsm/rpc';

const [, , url = ''] = process.argv;
await createGrpcTransport().serve(url, 'echo', [
  service(NetworkServiceDefinition, {
    request: async ({ connection }) => {
      if (connection === undefined) throw new NsmError('invalid-argument', 'no connection');
      return connection;
    },
    close: async () => Empty.create(),
  }),
]);
process.send?.('ready');
