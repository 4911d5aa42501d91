import { duration, text, tokenLifetime, urls } from '@nsm/service';

/** Contract 7.7. */
export const settings = {
  NSM_NAME: text({ fallback: 'registry', help: 'name of the process in errors and tokens' }),
  NSM_LISTEN_ON: urls({ fallback: 'unix:///listen.on.socket', help: 'where to listen' }),
  NSM_MAX_TOKEN_LIFETIME: tokenLifetime,
  NSM_STORE: text({ fallback: 'memory', help: 'memory, or sqlite:/path/file.db to keep entries over restarts' }),
  NSM_EXPIRE_PERIOD: duration({ fallback: '1m', help: 'how long an endpoint lasts that is not refreshed' }),
};
