// Sends an access token with every request that Node makes, for clients that have no
// setting for it. Preload it with --import; BEARER_TOKEN is the token.
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { Agent, setGlobalDispatcher } from 'undici';

const authorization = `Bearer ${process.env.BEARER_TOKEN}`;

// fetch, and what else uses undici.
setGlobalDispatcher(
  new Agent().compose((dispatch) => (options, handler) => {
    const headers = options.headers ?? [];
    const known = Array.isArray(headers)
      ? headers.some((name, i) => i % 2 === 0 && String(name).toLowerCase() === 'authorization')
      : Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
    if (!known) {
      options.headers = Array.isArray(headers)
        ? [...headers, 'authorization', authorization]
        : { ...headers, authorization };
    }
    return dispatch(options, handler);
  }),
);

// node:http, for requests whose headers are to be as they are written.
const request = http.request;
http.request = (...args) => {
  const made = request(...args);
  if (!made.headersSent && !made.hasHeader('authorization')) {
    made.setHeader('authorization', authorization);
  }
  return made;
};
syncBuiltinESMExports();
