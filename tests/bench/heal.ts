// What happens to wires when processes, pods, links, nodes and networks fail: the table of docs/healing.md.
// Usage: npm run bench -- heal [GROUP [ROUNDS]]
import { startNetns } from '../worlds/netns.ts';
import { clientsTopology, deathScenarios, deathTopology, herdScenarios } from './heal/clients.ts';
import { controlPlaneScenarios, controlPlaneTopology } from './heal/control-plane.ts';
import { endpointScenarios, endpointsTopology } from './heal/endpoints.ts';
import { linkScenarios } from './heal/links.ts';
import { LEASE } from './heal/mesh.ts';
import { networkScenarios, networkTopology, orphanScenarios } from './heal/network.ts';
import { partitionScenarios } from './heal/partitions.ts';
import {
  failedRun,
  faultsOf,
  healTable,
  type Row,
  type Run,
  type Scenario,
} from './heal/scenario.ts';

/** Scenarios that share a mesh. */
interface Group {
  readonly name: string;
  readonly topology: (rounds: number) => string;
  readonly scenarios: readonly Scenario[];
  /** Runs of each, so that the table takes a quarter of an hour. */
  readonly rounds: number;
  /** A Go duration. */
  readonly tokenLifetime?: string;
}

const groups: readonly Group[] = [
  {
    name: 'control',
    topology: () => controlPlaneTopology,
    scenarios: controlPlaneScenarios,
    rounds: 5,
  },
  { name: 'links', topology: () => controlPlaneTopology, scenarios: linkScenarios, rounds: 25 },
  { name: 'endpoints', topology: endpointsTopology, scenarios: endpointScenarios, rounds: 15 },
  { name: 'network', topology: networkTopology, scenarios: networkScenarios, rounds: 6 },
  {
    name: 'orphans',
    topology: networkTopology,
    scenarios: orphanScenarios,
    rounds: 4,
    tokenLifetime: LEASE,
  },
  { name: 'partitions', topology: networkTopology, scenarios: partitionScenarios, rounds: 4 },
  {
    name: 'death',
    topology: deathTopology,
    scenarios: deathScenarios,
    rounds: 5,
    tokenLifetime: LEASE,
  },
  { name: 'herd', topology: clientsTopology, scenarios: herdScenarios, rounds: 5 },
];

const [only, asked] = process.argv.slice(2);
const rows: Row[] = [];
for (const { name, topology, scenarios, rounds: usual, ...options } of groups) {
  if (only !== undefined && only !== name) continue;
  const rounds = asked === undefined ? usual : Number(asked);
  const mesh = await startNetns(topology(rounds), options);
  try {
    for (const scenario of scenarios) {
      const runs: Run[] = [];
      for (let i = 0; i < rounds; i += 1) runs.push(await scenario.run(mesh).catch(failedRun));
      rows.push({ scenario, runs });
      const faults = faultsOf({ scenario, runs });
      const times = runs.map(({ ms }) => ms.toFixed(0)).join(' ');
      process.stderr.write(`… ${scenario.name}: ${faults.join('; ') || 'holds'} (${times} ms)\n`);
    }
  } finally {
    await mesh.stop();
  }
}
console.log(healTable(rows));
const broken = rows.filter((row) => faultsOf(row).length > 0);
for (const row of broken) console.log(`${row.scenario.name}: ${faultsOf(row).join('; ')}`);
process.exitCode = broken.length > 0 ? 1 : 0;
