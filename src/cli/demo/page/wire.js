// The wire beneath this tab: what the server saw of its bytes, told over a connection of its own.

import { count, draw, view } from "./draw.js";

const ROWS_MAX = 300;
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const $ = (id) => document.getElementById(id);
const frames = new Map(); // row -> frame
const pings = new Map(); // payload -> when the server sent it
const trips = [];
let selected = null, key = "";

/** Follows the connection that `welcome` names; answers the socket it is told over. */
export function follow(welcome) {
  const url = new URL(`wire?key=${welcome.key}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => {
    const record = JSON.parse(data);
    if (record.end) end(record);
    else if (record.item.event === "frame") frame(view(record));
    else opening(record);
  };
  for (const step of $("closing").children) delete step.dataset.done;
  done("open");
  $("verdict").textContent = "";
  mark("A new connection.");
  return socket;
}

function opening({ who, item }) {
  if (who === "peer") return item.event === "request" && mark("A peer beside the server connects.");
  const text = item.lines.map(({ line }) => line).join("\n");
  const field = (name) => item.lines.find((line) => line.name?.toLowerCase() === name)?.value ?? "";
  if (item.event === "request") {
    key = field("sec-websocket-key");
    return highlight($("request"), text, key);
  }
  const accept = field("sec-websocket-accept");
  highlight($("response"), text, accept);
  const sha1 = [...atob(accept)].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");
  const steps = [
    ["The browser drew 16 random bytes; as Base64 they are the key", key],
    ["The server appends the GUID that §1.3 gives", key + GUID],
    ["It takes the SHA-1 of that: 20 bytes", sha1],
    ["As Base64 they are the answer. The browser computes the same, and so knows that it talks to a WebSocket server and to no cache", accept],
  ];
  $("derivation").replaceChildren(...steps.map(([text, value]) => {
    const li = document.createElement("li"), code = document.createElement("code");
    code.textContent = value;
    li.append(`${text}: `, code);
    return li;
  }));
}

function frame(record) {
  if (record.who === "tab") {
    roundTrip(record);
    if (record.opcode === 8) done(document.querySelector('[data-step="first"][data-done]') ? "second" : "first");
  } else if (record.dir === "out" && record.close) {
    $("outcome").textContent = `The server failed that connection with ${record.close.code}${record.close.reason ? ` (${record.close.reason})` : ""}, as the peer deserved.`;
  }
  if (record.board && !$("show-board").checked) return;
  if ($("pause").checked) return;
  const row = document.createElement("div");
  row.className = `row new${record.problems.length ? " bad" : ""}`;
  row.id = `frame-${record.who}-${record.n}`;
  row.role = "option";
  row.ariaSelected = "false";
  Object.assign(row.dataset, { dir: record.dir, who: record.who });
  const what = record.problems[0]?.what ?? record.close?.code ?? record.text ?? record.printed;
  row.append(
    span("at", `${record.at.toFixed(2)} s`),
    span("way", record.dir === "in" ? "→" : "←"),
    span("name", `${record.name}${record.fin ? "" : " …"}`),
    span("size", `${record.length} B`),
    span("what", String(what).slice(0, 200)),
  );
  row.ariaLabel = `${record.dir === "in" ? "to" : "from"} the server: ${record.name}, ${count(record.length, "byte")}`;
  frames.set(row, record);
  append(row);
}

function end({ who, end: why }) {
  mark(`${who === "peer" ? "The peer’s connection" : "This tab’s connection"} ended: ${why}.`);
  if (who === "peer") {
    const before = $("outcome").textContent;
    $("outcome").textContent = `${before} The server’s verdict: ${why}.`.trim();
    return;
  }
  done("tcp");
  $("verdict").textContent = `The server’s verdict: ${why}.`;
}

function roundTrip({ opcode, dir, plain, at }) {
  if (opcode === 9 && dir === "out") pings.set(plain, at);
  if (opcode !== 10 || dir !== "in" || !pings.has(plain)) return;
  trips.push((at - pings.get(plain)) * 1000);
  pings.delete(plain);
  const best = Math.min(...trips);
  $("rtt").textContent = `Ping to Pong: ${trips.at(-1).toFixed(1)} ms, at best ${best.toFixed(1)} ms of ${trips.length}`;
}

function done(step) {
  document.querySelector(`[data-step="${step}"]`).dataset.done = "";
}

function mark(text) {
  const row = document.createElement("div");
  row.className = "row mark";
  row.role = "presentation";
  row.textContent = text;
  append(row);
}

function append(row) {
  const list = $("list");
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(row);
  while (list.childElementCount > ROWS_MAX) {
    frames.delete(list.firstElementChild);
    list.firstElementChild.remove();
  }
  if (follows) list.scrollTop = list.scrollHeight;
  if (!selected && frames.has(row)) select(row, false);
}

function select(row, scroll = true) {
  if (!frames.has(row)) return;
  if (selected) selected.ariaSelected = "false";
  selected = row;
  row.ariaSelected = "true";
  $("list").setAttribute("aria-activedescendant", row.id);
  if (scroll) row.scrollIntoView({ block: "nearest" });
  $("drawing").replaceChildren(draw(frames.get(row)));
}

$("list").addEventListener("click", ({ target }) => select(target.closest(".row"), false));
$("list").addEventListener("keydown", (event) => {
  const rows = [...$("list").children].filter((row) => frames.has(row));
  const at = rows.indexOf(selected);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
  if (to === undefined || !rows.length) return;
  event.preventDefault();
  select(rows[Math.max(0, Math.min(rows.length - 1, to))]);
});

function highlight(pre, text, part) {
  const at = part ? text.indexOf(part) : -1;
  pre.textContent = text;
  if (at < 0) return;
  const mark = document.createElement("mark");
  mark.textContent = part;
  pre.replaceChildren(text.slice(0, at), mark, text.slice(at + part.length));
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}
