'use strict';
// Node's `ws` as the client of `openline serve`.

const assert = require('node:assert/strict');
const { on, once } = require('node:events');
const { describe } = require('node:test');
const { WebSocket } = require('ws');
const { check, serve, serveFragments } = require('./openline.js');

const TEXT = 'κόσμε — 日本語 — 🦀';
const MIB = 1 << 20;

// An open connection whose `next()` is the next message, and `closed` what its Close said.
async function open(t, url, protocols, options) {
  const ws = new WebSocket(url, protocols, options);
  t.after(() => ws.terminate());
  const messages = on(ws, 'message');
  const closed = new Promise((resolve) => {
    ws.once('close', (code, reason) => resolve([code, reason.toString()]));
  });
  await once(ws, 'open');
  const next = async () => {
    const { value: [data, isBinary] } = await messages.next();
    return isBinary ? data : data.toString();
  };
  return { ws, next, closed };
}

// The status and headers of a refusal.
async function refused(url, options) {
  const ws = new WebSocket(url, options);
  ws.once('error', () => {});
  const [, response] = await once(ws, 'unexpected-response');
  response.destroy();
  return response;
}

describe('ws as client', () => {
  check('messages of every kind and size come back', async (t) => {
    const { url } = await serve(t);
    const { ws, next } = await open(t, url);
    const sizes = [0, 1, 125, 126, 127, 65_535, 65_536, MIB];
    const messages = [TEXT, '', ...sizes.map((size) => Buffer.alloc(size, 0xa5)), 'x'.repeat(MIB)];
    for (const message of messages) {
      ws.send(message);
      assert.deepEqual(await next(), message);
    }
  });

  check('many messages in flight come back in order', async (t) => {
    const { url } = await serve(t);
    const { ws, next } = await open(t, url);
    for (let i = 0; i < 5_000; i += 1) ws.send(`${TEXT} ${i}`);
    for (let i = 0; i < 5_000; i += 1) assert.equal(await next(), `${TEXT} ${i}`);
  });

  check('its fragments, cut within a character and around a ping, are one message', async (t) => {
    const { url } = await serve(t);
    const { ws, next } = await open(t, url);
    const bytes = Buffer.from(TEXT);
    const last = bytes.length - 1;
    for (let i = 0; i < last; i += 1) {
      ws.send(bytes.subarray(i, i + 1), { binary: false, fin: false });
      if (i === 3) ws.ping('between');
    }
    ws.send(bytes.subarray(last), { binary: false, fin: true });
    assert.equal(await next(), TEXT);
    ws.send(Buffer.alloc(MIB), { fin: false });
    ws.send(Buffer.alloc(MIB), { fin: true });
    assert.deepEqual(await next(), Buffer.alloc(2 * MIB));
  });

  check('our fragments are one message', async (t) => {
    const { url } = await serveFragments(t);
    const { ws, next } = await open(t, url);
    for (const message of [TEXT, '', Buffer.alloc(MIB, 0x5a)]) {
      ws.send(message);
      assert.deepEqual(await next(), message);
    }
  });

  check('every ping has its pong, and a pong nobody asked for is no harm', async (t) => {
    const { url } = await serve(t);
    const { ws, next } = await open(t, url);
    const pongs = on(ws, 'pong');
    ws.pong('unasked');
    for (const payload of ['', 'ping', 'x'.repeat(125)]) {
      ws.ping(payload);
      const { value: [data] } = await pongs.next();
      assert.equal(data.toString(), payload);
    }
    ws.send(TEXT);
    assert.equal(await next(), TEXT);
  });

  check('our pings are answered', async (t) => {
    const { url } = await serve(t, '--ping-interval', '100ms');
    const { ws, next } = await open(t, url);
    const pings = on(ws, 'ping');
    for (let i = 0; i < 3; i += 1) await pings.next();
    ws.send(TEXT);
    assert.equal(await next(), TEXT);
  });

  check('a subprotocol is chosen from those offered, or none', async (t) => {
    const { url } = await serve(t, '--subprotocol', 'chat', '--subprotocol', 'log');
    assert.equal((await open(t, url, ['other', 'log'])).ws.protocol, 'log');
    assert.equal((await open(t, url)).ws.protocol, '');
  });

  check('compression is offered and declined', async (t) => {
    const { url } = await serve(t);
    const { ws, next } = await open(t, url, { perMessageDeflate: true });
    assert.equal(ws.extensions, '');
    ws.send(TEXT);
    assert.equal(await next(), TEXT);
  });

  check('its close code comes back', async (t) => {
    const { url } = await serve(t);
    for (const [code, reason] of [[1000, ''], [3000, 'grüße'], [4999, 'x'.repeat(123)]]) {
      const { ws, closed } = await open(t, url);
      ws.close(code, reason);
      assert.equal((await closed)[0], code);
    }
    const { ws, closed } = await open(t, url);
    ws.close();
    assert.deepEqual(await closed, [1005, '']); // no code is answered by no code
  });

  check('our close code and reason arrive', async (t) => {
    const { url } = await serveFragments(t);
    const { ws, closed } = await open(t, url);
    ws.send('close 4001 grüße');
    assert.deepEqual(await closed, [4001, 'grüße']);
  });

  check('what breaks the rules is closed with the code that says so', async (t) => {
    const { url } = await serve(t, '--max-message', '1k');
    const codeAfter = async (send) => {
      const { ws, closed } = await open(t, url);
      send(ws);
      return (await closed)[0];
    };
    assert.equal(await codeAfter((ws) => ws.send(Buffer.alloc(1025))), 1009);
    assert.equal(await codeAfter((ws) => ws.send(Buffer.of(0xc0), { binary: false })), 1007);
    // An unmasked frame, beneath the library.
    assert.equal(await codeAfter((ws) => ws._socket.write(Buffer.of(0x81, 0x00))), 1002);
  });

  check('SIGTERM says 1001 to everyone and ends with 0', async (t) => {
    const { url, child } = await serve(t);
    const { closed } = await open(t, url);
    const exited = once(child, 'exit'); // listened for before it can happen
    child.kill('SIGTERM');
    assert.equal((await closed)[0], 1001);
    assert.deepEqual(await exited, [0, null]);
  });

  check('an origin that is not on the list is refused', async (t) => {
    const { url } = await serve(t, '--origin', 'https://example.com');
    await open(t, url, { origin: 'https://example.com' });
    for (const origin of ['https://evil-example.com', 'https://example.com.evil.net', 'null']) {
      assert.equal((await refused(url, { origin })).statusCode, 403);
    }
  });

  check('a version other than 13 is told which one it should be', async (t) => {
    const { url } = await serve(t);
    const { statusCode, headers } = await refused(url, { protocolVersion: 8 });
    assert.equal(statusCode, 426);
    assert.equal(headers['sec-websocket-version'], '13');
  });
});
