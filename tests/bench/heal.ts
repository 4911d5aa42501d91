// What happens to wires when processes, pods, links, nodes and networks fail: the table of docs/healing.md.
// Usage: npm run bench -- heal [ROUNDS [GROUP]]
import { startNetns } from '../worlds/netns.ts';
import {
  clientsTopology,
  deathScenarios,
  deathTopology,
  herdScenarios,
  LEASE,
} from './heal/clients.ts';
import { controlPlaneScenarios, controlPlaneTopology } from './heal/control-plane.ts';
import { endpointScenarios, endpointsTopology } from './heal/endpoints.ts';
import { linkScenarios } from './heal/links.ts';
import { networkScenarios, networkTopology } from './heal/network.ts';
import { partitionScenarios } from './heal/partitions.ts';
import { faultsOf, healTable, type Row, type Run, type Scenario } from './heal/scenario.ts';

const ROUNDS = 5;

/** Scenarios that share a mesh. */
interface Group {
  readonly name: string;
  readonly topology: (rounds: number) => string;
  readonly scenarios: readonly Scenario[];
  /** A Go duration. */
  readonly tokenLifetime?: string;
}

const groups: readonly Group[] = [
  { name: 'control', topology: () => controlPlaneTopology, scenarios: controlPlaneScenarios },
  { name: 'links', topology: () => controlPlaneTopology, scenarios: linkScenarios },
  { name: 'endpoints', topology: endpointsTopology, scenarios: endpointScenarios },
  { name: 'network', topology: networkTopology, scenarios: networkScenarios },
  { name: 'partitions', topology: networkTopology, scenarios: partitionScenarios },
  { name: 'death', topology: deathTopology, scenarios: deathScenarios, tokenLifetime: LEASE },
  { name: 'herd', topology: clientsTopology, scenarios: herdScenarios },
];

const rounds = Number(process.argv[2] ?? ROUNDS);
const only = process.argv[3];
const rows: Row[] = [];
for (const { name, topology, scenarios, ...options } of groups) {
  if (only !== undefined && only !== name) continue;
  const mesh = await startNetns(topology(rounds), options);
  try {
    for (const scenario of scenarios) {
      const runs: Run[] = [];
      for (let i = 0; i < rounds; i += 1) runs.push(await scenario.run(mesh));
      rows.push({ scenario, runs });
      const faults = faultsOf({ scenario, runs });
      process.stderr.write(`… ${scenario.name}: ${faults.join('; ') || 'holds'}\n`);
    }
  } finally {
    await mesh.stop();
  }
}
console.log(healTable(rows));
const broken = rows.filter((row) => faultsOf(row).length > 0);
for (const row of broken) console.log(`${row.scenario.name}: ${faultsOf(row).join('; ')}`);
process.exitCode = broken.length > 0 ? 1 : 0;
