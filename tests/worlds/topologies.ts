/** Two nodes, an endpoint on each, for tests. Names are short: sockets live below a folder of the lab's name. */
export const twoNodes = (
  name: string,
  clients: string,
  more: {
    readonly prefixes?: string;
    readonly payload?: string;
    readonly services?: string;
    readonly endpoints?: string;
    /** Settings of both endpoints, as YAML. */
    readonly env?: string;
  } = {},
): string => `
name: ${name}
nodes:
  n1: {}
  n2: {}
services:
  near: { payload: ${more.payload ?? 'IP'} }
  far: { payload: ${more.payload ?? 'IP'} }
${more.services ?? ''}
endpoints:
  nse-near: { node: n1, services: [near], prefixes: ${more.prefixes ?? '[172.16.1.0/24]'}, env: ${more.env ?? '{}'} }
  nse-far: { node: n2, services: [far], prefixes: ${more.prefixes?.replaceAll('172.16.1', '172.16.2').replaceAll('fd00:1', 'fd00:2') ?? '[172.16.2.0/24]'}, env: ${more.env ?? '{}'} }
${more.endpoints ?? ''}
clients:
${clients}
`;
