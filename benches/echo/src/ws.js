'use strict';
// The echo server of Node's `ws`, with compression: node ws.js PORT LEVEL.

const { WebSocketServer } = require('ws');

const [port, level] = process.argv.slice(2).map(Number);
const server = new WebSocketServer({
  host: '127.0.0.1',
  port,
  perMessageDeflate: {
    threshold: 0,
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    zlibDeflateOptions: { level },
  },
});
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
