'use strict';
// Node's ws as a peer under test: an echo, in both roles.
//
//   node ws.js serve HOST:PORT
//   node ws.js connect ws://HOST:PORT AGENT      follows Autobahn's control paths

const { WebSocket, WebSocketServer } = require('ws');

// All messages compressed, as far as compression is agreed to.
const perMessageDeflate = { threshold: 0 };
const maxPayload = 32 << 20;

function echo(socket) {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  // What a case does to a connection is not our concern.
  socket.on('error', () => {});
}

function serve(address) {
  const [host, port] = address.split(':');
  const server = new WebSocketServer({ host, port: Number(port), perMessageDeflate, maxPayload });
  server.on('connection', echo);
}

// One connection, from beginning to end; answers the last text.
function converse(url, onOpen) {
  return new Promise((done, fail) => {
    const socket = new WebSocket(url, { perMessageDeflate, maxPayload });
    let heard;
    if (onOpen) onOpen(socket);
    else socket.on('message', (data) => { heard = data.toString(); });
    socket.on('error', (error) => { if (!onOpen) fail(error); });
    socket.on('close', () => done(heard));
  });
}

async function connect(url, agent) {
  const count = Number(await converse(`${url}/getCaseCount`));
  for (let n = 1; n <= count; n++) {
    await converse(`${url}/runCase?case=${n}&agent=${agent}`, echo);
  }
  await converse(`${url}/updateReports?agent=${agent}`);
}

const [task, where, agent] = process.argv.slice(2);
if (task === 'serve') serve(where);
else connect(where, agent);
