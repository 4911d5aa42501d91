/** A link to work on: its index, and its name where it is known, for readable errors. */
export type Device = number | { readonly index: number; readonly name: string };

/** The interface index of a device. */
export const deviceIndex = (device: Device): number =>
  typeof device === 'number' ? device : device.index;

/** What an error message calls a device. */
export const deviceName = (device: Device): string =>
  typeof device === 'number' ? `if${device}` : device.name;
