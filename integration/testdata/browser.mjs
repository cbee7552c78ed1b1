// A browser as far as a login needs one: it follows redirects and keeps cookies.
import { setTimeout as sleep } from 'node:timers/promises';

const cookies = new Map();

// open fetches a page. It is faster than any user, so what the login leads back to may not
// be listening yet.
async function open(url, init) {
  for (const deadline = Date.now() + 20_000; ;) {
    try {
      return await fetch(url, init);
    } catch (error) {
      if (error.cause?.code !== 'ECONNREFUSED' || Date.now() > deadline) {
        throw error;
      }
      await sleep(50);
    }
  }
}

// visit follows redirects from a URL, up to one that begins with stop, which it returns and
// does not open.
export async function visit(url, stop) {
  for (let at = new URL(url), hops = 0; hops < 20; hops += 1) {
    if (stop && at.href.startsWith(stop)) {
      return at;
    }
    const cookie = [...(cookies.get(at.host) ?? new Map())].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await open(at, { redirect: 'manual', headers: cookie ? { cookie } : {} });
    const text = await response.text();
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      const kept = cookies.get(at.host) ?? new Map();
      cookies.set(at.host, kept.set(name, value));
    }
    const location = response.headers.get('location');
    if (!location) {
      if (!response.ok || stop) {
        throw new Error(`the login ends at ${at} with ${response.status}: ${text}`);
      }
      return at;
    }
    at = new URL(location, at);
  }
  throw new Error(`too many redirects from ${url}`);
}
