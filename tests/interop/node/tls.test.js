'use strict';
// wss: Node's `ws` in both roles, over a certificate made here.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { createServer } = require('node:https');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { describe } = require('node:test');
const { WebSocket, WebSocketServer } = require('ws');
const { check, connect, serve } = require('./openline.js');

const TEXT = 'κόσμε — 日本語 — 🦀';
const MIB = 1 << 20;

// A certificate for this machine, in files.
function certificate(t) {
  const folder = mkdtempSync(join(tmpdir(), 'openline-interop-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [cert, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=interop',
    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert,
    '-addext', 'basicConstraints=critical,CA:FALSE',
  ], { stdio: 'ignore' });
  return { cert, key };
}

describe('ws over TLS', () => {
  check('as a client', async (t) => {
    const { cert, key } = certificate(t);
    const { url } = await serve(t, '--tls', cert, key);
    assert.match(url, /^wss:/);
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const ws = new WebSocket(url, {
        ca: readFileSync(cert), minVersion: version, maxVersion: version,
      });
      t.after(() => ws.terminate());
      await once(ws, 'open');
      for (const message of [TEXT, 'x'.repeat(16_384), 'x'.repeat(2 * MIB)]) {
        ws.send(message);
        const [data] = await once(ws, 'message');
        assert.ok(data.toString() === message);
      }
      ws.close(1000);
      const [code] = await once(ws, 'close');
      assert.equal(code, 1000);
    }
    const stranger = new WebSocket(url);
    const [error] = await once(stranger, 'error');
    assert.match(error.code, /SELF_SIGNED|UNABLE_TO_VERIFY/);
  });

  check('as a server', async (t) => {
    const { cert, key } = certificate(t);
    const https = createServer({ cert: readFileSync(cert), key: readFileSync(key) });
    const server = new WebSocketServer({ server: https });
    server.on('connection', (ws) => {
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
    });
    https.listen(0, '127.0.0.1');
    await once(https, 'listening');
    t.after(() => {
      for (const ws of server.clients) ws.terminate();
      https.close();
    });
    const url = `wss://localhost:${https.address().port}/`;
    const lines = [TEXT, '', 'x'.repeat(65_536), 'x'.repeat(MIB)];
    const { code, out, log } = await connect(t, `${lines.join('\n')}\n`, url, '--ca', cert);
    assert.deepEqual(out.split('\n'), [...lines, '']);
    assert.equal(code, 0, log);
    const refused = await connect(t, '', url);
    assert.equal(refused.code, 8, refused.log);
  });
});
