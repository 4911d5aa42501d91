/** Put there by scripts/build.mjs, from package.json and the repository. */
declare const NSM_VERSION: string | undefined;
declare const NSM_COMMIT: string | undefined;

/** What was built. Programs run from their sources have neither. */
export const buildOf = (): { readonly version: string; readonly commit: string } => ({
  version: typeof NSM_VERSION === 'undefined' ? 'unbuilt' : NSM_VERSION,
  commit: typeof NSM_COMMIT === 'undefined' ? 'unknown' : NSM_COMMIT,
});

/** As `--version` prints it: `nsmgr 1.2.3 (commit 0123456789ab)`. */
export const versionLine = (name: string): string => {
  const { version, commit } = buildOf();
  return `${name} ${version} (commit ${commit})`;
};
