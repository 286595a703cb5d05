'use strict';
// permessage-deflate with Node's `ws`, in both roles: context takeover on and off, window bits.

const assert = require('node:assert/strict');
const { on, once } = require('node:events');
const { createServer } = require('node:http');
const { describe } = require('node:test');
const { WebSocket, WebSocketServer } = require('ws');
const { check, connect, serve } = require('./openline.js');

const TEXT = 'κόσμε — 日本語 — 🦀 ';
// Repeats near and far, so that windows and contexts are made use of.
const MESSAGES = [
  TEXT.repeat(40), TEXT, '', TEXT.repeat(40), 'x'.repeat(200_000),
  Array.from({ length: 9_000 }, (_, i) => `${i * 7919 % 1000} `).join(''), TEXT.repeat(40),
];

// What each end asks for, and what `ws` then says was agreed to.
const CASES = [
  ['no context', ['--compress'], {}, /server_no_context_takeover; client_no_context_takeover/],
  ['context on both sides', ['--compress', '--compress-context'], {}, /permessage-deflate/],
  [
    'small windows', ['--compress', '--compress-context', '--compress-server-window', '9',
      '--compress-client-window', '10'],
    {}, /server_max_window_bits=9; client_max_window_bits=10/,
  ],
  [
    'windows that ws asks for', ['--compress', '--compress-context'],
    { serverMaxWindowBits: 9, clientMaxWindowBits: 9 }, /server_max_window_bits=9/,
  ],
  [
    'no context that ws asks for', ['--compress', '--compress-context'],
    { serverNoContextTakeover: true, clientNoContextTakeover: true },
    /server_no_context_takeover; client_no_context_takeover/,
  ],
  ['all messages, at level 9', ['--compress', '--compress-min', '0', '--compress-level', '9'], {},
    /permessage-deflate/],
];

describe('compression with ws', () => {
  for (const [name, options, theirs, agreed] of CASES) {
    check(`as client: ${name}`, async (t) => {
      const { url } = await serve(t, ...options);
      const ws = new WebSocket(url, { perMessageDeflate: { threshold: 0, ...theirs } });
      t.after(() => ws.terminate());
      const messages = on(ws, 'message');
      const [[response]] = await Promise.all([once(ws, 'upgrade'), once(ws, 'open')]);
      assert.match(response.headers['sec-websocket-extensions'], agreed);
      for (const message of [...MESSAGES, ...MESSAGES]) {
        ws.send(message);
        ws.send(Buffer.from(message));
        const { value: [text] } = await messages.next();
        assert.equal(text.toString(), message);
        const { value: [data] } = await messages.next();
        assert.equal(data.toString(), message);
      }
    });

    check(`as server: ${name}`, async (t) => {
      const http = createServer();
      const perMessageDeflate = { threshold: 0, ...theirs };
      const server = new WebSocketServer({ server: http, perMessageDeflate });
      let extensions;
      server.on('connection', (ws) => {
        extensions = ws.extensions;
        ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
      });
      http.listen(0, '127.0.0.1');
      await once(http, 'listening');
      t.after(() => {
        for (const ws of server.clients) ws.terminate();
        http.close();
      });
      const url = `ws://127.0.0.1:${http.address().port}/`;
      const lines = `${MESSAGES.join('\n')}\n`;
      const { code, out, log } = await connect(t, lines, ...options, '-v', url);
      assert.equal(out, lines, log);
      assert.equal(code, 0, log);
      assert.equal(extensions, 'permessage-deflate');
      assert.match(log, agreed);
    });
  }
});
