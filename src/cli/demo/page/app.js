// This tab's side: chat, presence, notifications, the dashboard, and the same by polling.

import { count } from "./draw.js";
import { follow } from "./wire.js";

const $ = (id) => document.getElementById(id);
const as = new URLSearchParams(location.search).get("as") === "agent" ? "agent" : "customer";
const TYPING_MS = 2500;
const RATES_MAX = 60;

let socket = null, wire = null, me = null, since = null, typing = false, typingTimer = 0;
const typists = new Map(), rates = [];

function connect() {
  const url = new URL(`live?as=${as}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  state("connecting");
  $("reconnect").hidden = true;
  socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => state("open");
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") return outcome(`${count(data.byteLength, "byte")} came.`);
    const message = JSON.parse(data);
    (handlers[message.type] ?? (() => {}))(message);
  };
  socket.onclose = ({ code, reason, wasClean }) => {
    state("closed");
    outcome(`This tab’s connection is closed: the browser says ${code}${reason ? ` (${reason})` : ""}, ${wasClean ? "cleanly" : "not cleanly"}.`);
    $("reconnect").hidden = false;
    // The last records of the wire are still on their way.
    const old = wire;
    setTimeout(() => old?.close(1000), 3000);
  };
}

const handlers = {
  welcome(message) {
    me = message;
    since = null;
    $("me").textContent = message.name;
    wire?.close(1000);
    wire = follow(message);
    poll();
  },
  event: show,
  typing({ name, on }) {
    clearTimeout(typists.get(name));
    typists.delete(name);
    if (on && name !== me.name) typists.set(name, setTimeout(() => handlers.typing({ name, on: false }), 2 * TYPING_MS));
    const names = [...typists.keys()];
    $("typing").textContent = names.length ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} typing …` : "";
  },
  metrics(metrics) {
    const tiles = [
      ["Connections", metrics.connections], ["Messages in", metrics.messagesIn], ["Messages out", metrics.messagesOut],
      ["Bytes in", size(metrics.bytesIn)], ["Bytes out", size(metrics.bytesOut)], ["Up", duration(metrics.up)],
    ];
    $("tiles").replaceChildren(...tiles.map(([name, value]) => {
      const div = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
      dt.textContent = name;
      dd.textContent = value;
      div.append(dt, dd);
      return div;
    }));
    rates.push(metrics.rate);
    if (rates.length > RATES_MAX) rates.shift();
    const top = Math.max(...rates, 1);
    const points = rates.map((rate, i) => `${240 - (rates.length - 1 - i) * 4},${46 - (rate / top) * 44}`);
    $("spark").innerHTML = `<polyline points="${points.join(" ")}"/>`;
    costs(metrics.costs);
  },
};

/** What happened: a message, somebody's coming or going, a notification. */
function show(event) {
  delay("webSocket", event);
  if (event.what === "said") {
    const li = document.createElement("li"), small = document.createElement("small");
    li.className = event.from === me?.name ? "mine" : "";
    small.textContent = event.from;
    li.append(small, event.text);
    $("log").append(li);
    $("log").scrollTop = $("log").scrollHeight;
    handlers.typing({ name: event.from, on: false });
  } else if (event.what === "present") {
    $("present").textContent = `Present: ${event.names.join(", ")}`;
  } else if (event.what === "notice") {
    const li = document.createElement("li");
    li.textContent = event.text;
    $("notices").prepend(li);
    while ($("notices").childElementCount > 20) $("notices").lastElementChild.remove();
  }
}

// The same events by polling.

let pollTimer = 0, polls = 0;
const delays = { webSocket: [], polling: [] };

async function poll() {
  clearTimeout(pollTimer);
  const wait = Number($("interval").value);
  if (!wait || !me || socket.readyState !== WebSocket.OPEN) return;
  try {
    const answer = await fetch(`events?since=${since ?? me.seq}&key=${me.key}`, { cache: "no-store" });
    const { events, seq } = await answer.json();
    polls += 1;
    since = seq;
    for (const event of events) delay("polling", event);
  } catch { /* The server is gone; the WebSocket tells so. */ }
  pollTimer = setTimeout(poll, wait);
}

function delay(way, event) {
  // The server's clock against ours: the quickest event of all came with no delay to speak of.
  // One that came in fragments to this tab alone has no time, and nobody polls it.
  if (event.at) delays[way].push(Date.now() - event.at);
}

function costs(server) {
  const quickest = Math.min(...delays.webSocket, ...delays.polling);
  const mean = (list) => (list.length ? `${Math.round(list.reduce((sum, n) => sum + n, 0) / list.length - quickest)} ms` : "–");
  const rows = [
    ["Events received", delays.webSocket.length, delays.polling.length],
    ["Requests made", 1, polls],
    ["Bytes on the wire", size(server.webSocket), size(server.polling)],
    ["Mean delay of an event", mean(delays.webSocket), mean(delays.polling)],
  ];
  $("costs").replaceChildren(...rows.map(([name, ...values]) => {
    const tr = document.createElement("tr"), th = document.createElement("th");
    th.scope = "row";
    th.textContent = name;
    tr.append(th);
    for (const value of values) tr.insertCell().textContent = value;
    return tr;
  }));
}

// What a person does.

const send = (message) => socket.readyState === WebSocket.OPEN && (socket.send(JSON.stringify(message)), true);

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || !send({ type: "say", text })) return;
  $("text").value = "";
  stopTyping();
});
$("text").addEventListener("input", () => {
  if (!typing) typing = send({ type: "typing", on: true });
  clearTimeout(typingTimer);
  typingTimer = setTimeout(stopTyping, TYPING_MS);
});
function stopTyping() {
  clearTimeout(typingTimer);
  if (typing) send({ type: "typing", on: false });
  typing = false;
}

$("notify").addEventListener("click", () => send({ type: "notify" }));
$("interval").addEventListener("change", poll);
$("reconnect").addEventListener("click", connect);
for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", () => send({ type: "do", what: button.dataset.do, size: Number(button.dataset.size ?? 0) }));
}
$("send-large").addEventListener("click", () => {
  if (socket.readyState === WebSocket.OPEN) socket.send(new Uint8Array(300).map((_, i) => i));
});

const CODES = { 1000: "normal", 3000: "a library’s own", 4000: "an application’s own", 4999: "the last there is" };
$("code").append(...Object.entries(CODES).map(([code, name]) => new Option(`${code}, ${name}`, code)));
$("close-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const code = Number($("code").value), reason = $("reason").value;
  if (event.submitter.value === "server") send({ type: "do", what: "close", code, reason });
  else if (socket.readyState === WebSocket.OPEN) { state("closing"); socket.close(code, reason); }
});

const ILLEGAL = {
  unmasked: "a frame without a mask", rsv1: "RSV1, without an extension", opcode: "a reserved opcode",
  "fragmented-ping": "a Ping in fragments", "long-ping": "a Ping of 126 bytes",
  "long-length": "a length in more bytes than it needs", continuation: "a continuation of nothing",
  utf8: "a text that is not UTF-8", "close-code": "a Close with 1005", "close-short": "a Close of one byte",
};
$("illegal").append(...Object.entries(ILLEGAL).map(([what, name]) => new Option(name, what)));
$("illegal-form").addEventListener("submit", (event) => {
  event.preventDefault();
  outcome("");
  send({ type: "do", what: "illegal", which: $("illegal").value });
});

function outcome(text) { $("outcome").textContent = text; }

function state(is) {
  $("state").textContent = is;
  $("state").dataset.is = is;
  for (const button of document.querySelectorAll("section button")) button.disabled = is !== "open";
}

const size = (bytes) => (bytes < 10_000 ? `${bytes} B` : bytes < 10_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const duration = (s) => (s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 3600)} h`);

// Light or dark: as the system says, until one chooses.
const dark = matchMedia("(prefers-color-scheme: dark)");
let theme = dark.matches ? "dark" : "light";
function paint() {
  document.documentElement.dataset.theme = theme;
  $("theme").ariaPressed = String(theme === "dark");
}
$("theme").addEventListener("click", () => { theme = theme === "dark" ? "light" : "dark"; paint(); });
dark.addEventListener("change", () => { theme = dark.matches ? "dark" : "light"; paint(); });
paint();

if (as === "agent") {
  $("other").textContent = "Open the customer’s side";
  $("other").search = "?as=customer";
}
connect();
