/** Put there by scripts/build.mjs, from package.json and the repository. */
declare const NSM_VERSION: string | undefined;
declare const NSM_COMMIT: string | undefined;

/** As `--version` prints it: `nsmgr 1.2.3 (commit 0123456789ab)`. Programs run from their sources have neither. */
export const versionLine = (name: string): string => {
  const version = typeof NSM_VERSION === 'undefined' ? 'unbuilt' : NSM_VERSION;
  return `${name} ${version} (commit ${typeof NSM_COMMIT === 'undefined' ? 'unknown' : NSM_COMMIT})`;
};
