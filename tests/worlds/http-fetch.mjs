// Fetches a URL and prints how many bytes came and whether they have the digest the server named, as JSON. Usage: http-fetch.mjs URL
import { createHash } from 'node:crypto';
import { get } from 'node:http';

get(process.argv[2], (response) => {
  const digest = createHash('sha256');
  let bytes = 0;
  response.on('data', (part) => {
    bytes += part.length;
    digest.update(part);
  });
  response.on('end', () =>
    console.log(
      JSON.stringify({ bytes, intact: digest.digest('hex') === response.headers['x-sha256'] }),
    ),
  );
});
