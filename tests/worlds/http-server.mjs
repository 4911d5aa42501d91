// Serves BYTES pseudo-random bytes on ADDRESS:PORT, and their digest in a trailer-like header. Usage: http-server.mjs ADDRESS PORT BYTES
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const [address, port, bytes] = process.argv.slice(2);
const chunk = Buffer.alloc(1 << 20);
for (let i = 0; i < chunk.length; i += 4) chunk.writeUInt32LE(Math.imul(i, 2_654_435_761) >>> 0, i);
const digest = createHash('sha256');
for (let left = Number(bytes); left > 0; left -= chunk.length)
  digest.update(chunk.subarray(0, Math.min(left, chunk.length)));
const sum = digest.digest('hex');

createServer((_request, response) => {
  response.writeHead(200, { 'content-length': bytes, 'x-sha256': sum });
  let left = Number(bytes);
  const more = () => {
    while (left > 0) {
      const part = chunk.subarray(0, Math.min(left, chunk.length));
      left -= part.length;
      if (!response.write(part)) return response.once('drain', more);
    }
    response.end();
  };
  more();
}).listen(Number(port), address, () => console.log('listening'));
