'use strict';
// Node's `ws` as the server of `openline connect`, which is a filter: lines in, messages out.

const assert = require('node:assert/strict');
const { on, once } = require('node:events');
const { createServer } = require('node:http');
const { describe } = require('node:test');
const { WebSocketServer } = require('ws');
const { check, connect, connectFragments } = require('./openline.js');

const TEXT = 'κόσμε — 日本語 — 🦀';
const MIB = 1 << 20;

// A server; `each` has every connection and its request.
async function listen(t, each, options = {}) {
  const http = createServer((_, response) => response.writeHead(404).end('nothing here'));
  const server = new WebSocketServer({ server: http, ...options });
  server.on('connection', each);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => {
    for (const ws of server.clients) ws.terminate();
    http.close();
  });
  return `ws://127.0.0.1:${http.address().port}/path?query`;
}

function echo(ws) {
  ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
}

describe('ws as server', () => {
  check('lines go out as messages and come back as lines', async (t) => {
    const url = await listen(t, echo);
    const lines = [TEXT, '', 'x'.repeat(125), 'x'.repeat(126), 'x'.repeat(65_536), 'x'.repeat(MIB)];
    const { code, out, log } = await connect(t, `${lines.join('\n')}\n`, url);
    assert.deepEqual(out.split('\n'), [...lines, '']);
    assert.equal(code, 0, log);
  });

  check('many lines come back in order', async (t) => {
    const url = await listen(t, echo);
    const lines = Array.from({ length: 5_000 }, (_, i) => `${TEXT} ${i}\n`).join('');
    const { code, out, log } = await connect(t, lines, url);
    assert.equal(out, lines);
    assert.equal(code, 0, log);
  });

  check('--binary sends bytes as binary messages', async (t) => {
    const kinds = [];
    const url = await listen(t, (ws) => {
      ws.on('message', (data, isBinary) => kinds.push([data.toString(), isBinary]));
    });
    const { code, log } = await connect(t, `${TEXT}\n`, '--binary', url);
    assert.deepEqual(kinds, [[TEXT, true]]);
    assert.equal(code, 0, log);
  });

  check('its fragments, cut within a character and around a ping, are one message', async (t) => {
    const url = await listen(t, (ws) => {
      const bytes = Buffer.from(TEXT);
      ws.send(bytes.subarray(0, 1), { binary: false, fin: false });
      ws.ping('between');
      ws.send(bytes.subarray(1, 9), { binary: false, fin: false });
      ws.send('', { binary: false, fin: false });
      ws.send(bytes.subarray(9), { binary: false, fin: true });
      ws.once('pong', () => ws.close(1000));
    });
    const { out } = await connect(t, '', url);
    assert.equal(out, `${TEXT}\n`);
  });

  check('our fragments are one message', async (t) => {
    const messages = [TEXT, '', Buffer.alloc(MIB, 0x5a)];
    const answers = [];
    const url = await listen(t, async (ws) => {
      const incoming = on(ws, 'message');
      for (const message of messages) {
        ws.send(message);
        const { value: [data, isBinary] } = await incoming.next();
        answers.push(isBinary ? data : data.toString());
      }
      ws.close(1000);
    });
    const { code, log } = await connectFragments(t, url);
    assert.deepEqual(answers, messages);
    assert.equal(code, 0, log);
  });

  check('its pings are answered, and ours are asked', async (t) => {
    const seen = [];
    const url = await listen(t, async (ws) => {
      ws.ping('are you there');
      const [pong] = await once(ws, 'pong');
      seen.push(pong.toString());
      const pings = on(ws, 'ping');
      await pings.next();
      await pings.next();
      seen.push('pinged');
      ws.close(1000);
    });
    const { code, log } = await connect(t, null, '--ping-interval', '100ms', url);
    assert.deepEqual(seen, ['are you there', 'pinged']);
    assert.equal(code, 0, log);
  });

  check('the request says what the options say', async (t) => {
    let request;
    const options = { handleProtocols: (offered) => (offered.has('log') ? 'log' : false) };
    const url = await listen(t, (ws, asked) => { request = asked; ws.close(1000); }, options);
    await connect(t, '', '--subprotocol', 'chat', '--subprotocol', 'log',
      '--origin', 'https://example.com', '--header', 'X-Answer: 42', '--bearer', 's3cret', url);
    assert.equal(request.url, '/path?query');
    assert.deepEqual(request.headers['sec-websocket-protocol'].split(/, */), ['chat', 'log']);
    assert.equal(request.headers.origin, 'https://example.com');
    assert.equal(request.headers['x-answer'], '42');
    assert.equal(request.headers.authorization, 'Bearer s3cret');
    assert.equal(request.headers.host, new URL(url).host);
    await connect(t, '', url.replace('ws://', 'ws://user:pass@'));
    const basic = Buffer.from('user:pass').toString('base64');
    assert.equal(request.headers.authorization, `Basic ${basic}`);
  });

  check('a subprotocol that was not offered fails the connection', async (t) => {
    const url = await listen(t, echo, { handleProtocols: () => 'other' });
    const { code, log } = await connect(t, '', '--subprotocol', 'chat', url);
    assert.equal(code, 5, log);
  });

  check('our close code and reason arrive', async (t) => {
    let closed;
    const url = await listen(t, (ws) => {
      closed = once(ws, 'close').then(([code, reason]) => [code, reason.toString()]);
    });
    await connect(t, '', '--close', '4001', 'grüße', url);
    assert.deepEqual(await closed, [4001, 'grüße']);
    await connect(t, '', url);
    assert.equal((await closed)[0], 1000);
  });

  check('its close code and reason are told', async (t) => {
    let saying = [1000, 'done'];
    const url = await listen(t, (ws) => ws.close(...saying));
    assert.equal((await connect(t, null, url)).code, 0);
    saying = [4002, 'grüße'];
    const { code, log } = await connect(t, null, '-v', url);
    assert.equal(code, 7);
    assert.match(log, /4002/);
    assert.match(log, /grüße/);
  });

  check('a refusal is told with its status', async (t) => {
    const verifyClient = (_, answer) => answer(false, 401, 'who are you');
    const url = await listen(t, echo, { verifyClient });
    const { code, log } = await connect(t, '', url);
    assert.equal(code, 4);
    assert.match(log, /401/);
  });

  check('a server that is not there, or that drops the connection, is an error', async (t) => {
    const { code } = await connect(t, '', 'ws://127.0.0.1:1/');
    assert.equal(code, 3);
    const url = await listen(t, (ws) => ws.terminate());
    assert.equal((await connect(t, null, url)).code, 6);
  });
});
