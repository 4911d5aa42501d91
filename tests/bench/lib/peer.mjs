// One end of a measurement, in a pod: sends what it is told to, counts what comes. Usage: node peer.mjs PORT, over an IPC channel
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

const port = Number(process.argv[2]);
const CHUNK = Buffer.alloc(256 * 1024);
const DATAGRAM = Buffer.alloc(1_400);
const IN_FLIGHT = 32;

let bytes = 0;
const udp = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
udp.on('message', (datagram) => (bytes += datagram.length));
const server = createServer((socket) => socket.on('data', (data) => (bytes += data.length)));

const jobs = {
  /** What came since it was asked last. */
  count: async () => {
    const counted = { bytes };
    bytes = 0;
    return counted;
  },
  tcp: ({ address, ms }) =>
    new Promise((resolve, reject) => {
      const until = performance.now() + ms;
      const socket = connect(port, address, () => more());
      const more = () => {
        while (performance.now() < until)
          if (!socket.write(CHUNK)) return void socket.once('drain', more);
        socket.end();
      };
      socket.on('error', reject).on('close', () => resolve({}));
      socket.resume();
    }),
  udp: ({ address, ms }) =>
    new Promise((resolve) => {
      const until = performance.now() + ms;
      let flying = 0;
      const more = () => {
        if (performance.now() >= until) return flying === 0 && resolve({});
        while (flying < IN_FLIGHT) {
          flying += 1;
          udp.send(DATAGRAM, port, address, () => {
            flying -= 1;
            if (flying === 0) more();
          });
        }
      };
      more();
    }),
};

process.on('message', async ({ id, job, ...what }) => {
  const started = performance.now();
  const result = await jobs[job](what);
  const { user, system } = process.cpuUsage();
  process.send({ id, ms: performance.now() - started, cpu: (user + system) / 1e3, ...result });
});
server.listen(port, () => udp.bind(port, () => process.send({ ready: true })));
