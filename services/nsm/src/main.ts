import { cli } from './cli.ts';

// Whoever reads our output may leave early (`nsm ... | head`); what was begun is still to be taken down.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

process.exitCode = await cli(process.argv.slice(2));
// Connections and watchers that a failure left open are no reason to stay.
process.exit();
