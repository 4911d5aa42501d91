// Wraps a command so that it runs in network and mount namespaces of its own, where it may do as it likes.
import { spawnSync } from 'node:child_process';

const ROOTLESS = ['--user', '--map-root-user'];

/** The command to start instead; exits with a reason where the host gives no such namespace. */
export function namespaced(command) {
  const flags = [
    ...(process.getuid() === 0 ? [] : ROOTLESS),
    '--net',
    '--mount',
    '--propagation',
    'private',
  ];
  const probe = spawnSync('unshare', [...flags, 'true'], { encoding: 'utf8' });
  if (probe.error) exit(`unshare (of util-linux) cannot be started: ${probe.error.message}`);
  if (probe.status !== 0)
    exit(`no network namespace can be made here: ${probe.stderr.trim()}
${
  process.getuid() === 0
    ? 'As root this needs the capability CAP_SYS_ADMIN: in a container, add it (docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN).'
    : `Without root this needs user namespaces. Allow them with one of
  sysctl -w user.max_user_namespaces=15000                    (where it is 0)
  sysctl -w kernel.unprivileged_userns_clone=1                (Debian and Ubuntu before 24.04)
  sysctl -w kernel.apparmor_restrict_unprivileged_userns=0    (Ubuntu 24.04 and later)
or run the command as root.`
}`);
  return ['unshare', ...flags, '--fork', '--kill-child=SIGTERM', ...command];
}

function exit(text) {
  console.error(text);
  process.exit(1);
}
