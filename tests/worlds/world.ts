import type { TokenSource } from '@nsm/identity';
import type { Wire } from '@nsm/lab';
import type { NetworkServiceDefinition } from '@nsm/proto';
import type { Client } from '@nsm/rpc';

/** A running mesh, made of a topology. Pods, nodes and processes go by their names in it. */
export interface World {
  /** Waits until the wires of a client are up, all of them. */
  readonly connected: (client: string) => Promise<void>;
  /** Starts a process that was ended, without waiting for a client's wires. */
  readonly start: (process: string) => Promise<void>;
  /** Ends a process in order, as SIGTERM does. */
  readonly end: (process: string) => Promise<void>;
  /** Ends a process as kill -9 does. */
  readonly kill: (process: string) => Promise<void>;
  /** The wires the managers know, local and remote. */
  readonly wires: () => Promise<readonly Wire[]>;
  /** Whether `address` answers from a pod. */
  readonly ping: (pod: string, address: string) => Promise<boolean>;
  /** The links of a pod as text, indexes included: equal when nothing came, went or was made anew. */
  readonly links: (pod: string) => Promise<readonly string[]>;
  /** Why requests of a client were refused, oldest first. */
  readonly refusals: (client: string) => Promise<readonly string[]>;
  /** How often the wires of a client were refreshed. */
  readonly refreshes: (client: string) => Promise<number>;
  /** How often the wires of a client were healed. */
  readonly heals: (client: string) => Promise<number>;
  /** The manager of a node, to speak the protocol to it directly. */
  readonly manager: (node: string) => Client<typeof NetworkServiceDefinition>;
  /** Tokens for that. */
  readonly tokens: TokenSource;
  /** The namespace of a pod: inode://dev/ino. */
  readonly netns: (pod: string) => string;
  /** Everything a wire could leave behind, comparable by value. */
  readonly census: () => Promise<unknown>;
  readonly stop: () => Promise<void>;
}

/** Settings that every process of a world gets. */
export interface WorldOptions {
  /** A Go duration; short where a test waits for refreshes or expiry. @default 10m */
  readonly tokenLifetime?: string;
  /** A Go duration, per attempt of a client. @default 15s */
  readonly requestTimeout?: string;
}

/** Makes worlds of one kind from topologies in YAML. */
export type StartWorld = (topology: string, options?: WorldOptions) => Promise<World>;

/** Asks until the answer passes; fails with the last answer after `limitMs`. For what other processes do without telling. */
export async function eventually<T>(
  ask: () => Promise<T>,
  passes: (answer: T) => boolean,
  limitMs = 10_000,
  pauseMs = 25,
): Promise<T> {
  const until = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (passes(answer)) return answer;
    if (performance.now() > until)
      throw new Error(
        `not within ${limitMs} ms; the last answer was ${JSON.stringify(answer, undefined, 1)}`,
      );
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
