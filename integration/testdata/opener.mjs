// Takes the place of the package "open" in a program that would open the user's browser.
// Preload it with --import.
import { register } from 'node:module';

const browser = new URL('./browser.mjs', import.meta.url).href;
const opens = `
  import { EventEmitter } from 'node:events';
  import { visit } from '${browser}';
  export default async (url) => {
    const child = new EventEmitter();
    const exit = (code) => child.emit('exit', code);
    visit(url).then(() => exit(0), (error) => { console.error(error); exit(1); });
    return child;
  };`;
const hooks = `
  const opens = ${JSON.stringify(`data:text/javascript,${encodeURIComponent(opens)}`)};
  export const resolve = (name, context, next) => (name === 'open' ? { url: opens, shortCircuit: true } : next(name, context));`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
