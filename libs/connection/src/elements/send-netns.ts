import type { ConnectionElement } from '../call.ts';
import { namespacesIn, sendNamespaces, type NamespaceSource } from '../namespaces.ts';

/** Sends a descriptor of the namespace that an answer names with it (contract 4.9). */
export const sendNetns = (source: NamespaceSource): ConnectionElement => ({
  name: 'send-netns',
  async run(call, next) {
    const answer = await next(call);
    if (call.descriptors) sendNamespaces(namespacesIn(answer), source, call.descriptors);
    return answer;
  },
});
