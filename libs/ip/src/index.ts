export {
  type Address,
  addressBits,
  addressBytes,
  addressFromBytes,
  compareAddresses,
  formatAddress,
  parseAddress,
} from './address.ts';
export {
  comparePrefixes,
  contains,
  firstAddress,
  formatPrefix,
  hostPrefix,
  lastAddress,
  network,
  overlaps,
  parsePrefix,
  type Prefix,
} from './prefix.ts';
export { type AddressPair, createPrefixPool, type PrefixPool } from './prefix-pool.ts';
export { quarantined } from './quarantine.ts';
export { reserved, type ReservedOptions } from './reserved.ts';
