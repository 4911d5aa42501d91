import { existsSync } from 'node:fs';
import { defaultPlaces, type Lab, listLabs, openLab, type Places, readTopology } from '@nsm/lab';
import { NsmError } from '@nsm/rpc';

export const places = (): Places => defaultPlaces(process.env);

/** The lab a command is about: named, or by its topology file, or the only one. @throws NsmError not-found, invalid-argument */
export function whichLab(nameOrFile: string | undefined): Lab {
  const { stateRoot } = places();
  return openLab(stateRoot, nameOf(nameOrFile) ?? onlyLab(stateRoot));
}

/** The lab a command is about by default; undefined when none is up. @throws NsmError invalid-argument when there are several */
export function onlyLabOrNone(): Lab | undefined {
  const { stateRoot } = places();
  return listLabs(stateRoot).length === 0 ? undefined : openLab(stateRoot, onlyLab(stateRoot));
}

/** The lab with a pod of this name, where that is clear. */
export function labWithPod(pod: string, name: string | undefined): Lab {
  const { stateRoot } = places();
  if (name !== undefined) return whichLab(name);
  const labs = listLabs(stateRoot).map((each) => openLab(stateRoot, each));
  const having = labs.filter(({ plan }) => plan.namespaces.some((space) => space.name === pod));
  const [first, second] = having;
  if (first !== undefined && second === undefined) return first;
  return openLab(stateRoot, onlyLab(stateRoot));
}

function nameOf(nameOrFile: string | undefined): string | undefined {
  if (nameOrFile === undefined) return undefined;
  const file = nameOrFile.includes('/') || /\.ya?ml$/.test(nameOrFile) || existsSync(nameOrFile);
  return file ? readTopology(nameOrFile).name : nameOrFile;
}

function onlyLab(stateRoot: string): string {
  const labs = listLabs(stateRoot);
  const [first, second] = labs;
  if (first === undefined)
    throw new NsmError('not-found', `no lab is up (looked in ${stateRoot})`, {
      hint: 'start one with: nsm lab up FILE',
    });
  if (second !== undefined)
    throw new NsmError('invalid-argument', `there are several labs: ${labs.join(', ')}`, {
      hint: 'say which one',
    });
  return first;
}
