import { type Address, parseAddress } from '@nsm/ip';
import { PlanError } from './check.ts';

/** Reads an address that a plan is made of. @throws PlanError which names the field */
export function address(field: string, text: string): Address {
  try {
    return parseAddress(text);
  } catch (error) {
    throw new PlanError(field, error instanceof Error ? error.message : String(error), error);
  }
}

/** Contract 4: numbers are decimal, and what is none reads as 0. */
export const numberOf = (text: string | undefined): number =>
  /^[0-9]{1,9}$/.test(text ?? '') ? Number(text) : 0;
