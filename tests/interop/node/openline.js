'use strict';
// Starts openline for a test and stops it with the test.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { createInterface } = require('node:readline');
const { test } = require('node:test');

const OPENLINE = process.env.OPENLINE; // the program
const PEER = process.env.OPENLINE_PEER; // the peer of peer.rs, for what the program does not do

// A test that ends in time, one way or the other.
function check(name, body) {
  return test(name, { timeout: 20_000 }, body);
}

// `openline serve` with these options: its URL and its process.
async function serve(t, ...options) {
  return server(t, OPENLINE, ['serve', ...options]);
}

// The peer as a server, which answers in fragments.
async function serveFragments(t) {
  return server(t, PEER, ['serve']);
}

async function server(t, program, words) {
  const child = start(t, program, [...words, '127.0.0.1:0']);
  child.stdin.end();
  for await (const line of createInterface({ input: child.stdout })) {
    const [, url] = /^listening on (wss?:.*)$/.exec(line) ?? [];
    if (url) return { url, child };
  }
  throw new Error(`no server: ${child.log}`);
}

// `openline connect` as a filter: `lines` in, what comes out, and the exit code.
async function connect(t, lines, ...options) {
  const child = start(t, OPENLINE, ['connect', ...options]);
  if (lines !== null) child.stdin.end(lines); // null: nothing yet, and not the end either
  return ended(child);
}

// The peer as a client, which answers in fragments.
async function connectFragments(t, url) {
  const child = start(t, PEER, ['connect', url]);
  child.stdin.end();
  return ended(child);
}

async function ended(child) {
  const chunks = [];
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  const [code] = await once(child, 'close');
  return { code, out: Buffer.concat(chunks).toString(), log: child.log };
}

function start(t, program, words) {
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.log = '';
  child.stderr.on('data', (chunk) => { child.log += chunk; });
  child.stdin.on('error', () => {}); // it may end before it has read everything
  t.after(() => { child.kill('SIGKILL'); });
  return child;
}

module.exports = { check, serve, serveFragments, connect, connectFragments };
