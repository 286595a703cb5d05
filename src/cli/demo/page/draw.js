// Draws one frame as RFC 6455 §5.2 does: 32 bits a line, each field where it stands in the bytes.

const OPCODES = {
  0: "Continuation: goes on with the message", 1: "Text: a message in UTF-8", 2: "Binary: a message of bytes",
  8: "Close: begins or answers the closing handshake", 9: "Ping: asks for a Pong", 10: "Pong: answers a Ping",
};
const PAYLOAD_SHOWN = 48;

/** A record of the wire as what is shown here; a payload is sent unmasked, and masked again. */
export function view({ who, at, board, item }) {
  const plain = atob(item.payload.base64).split("").map((c) => c.charCodeAt(0));
  const key = item.masked ? bytes(item.key) : [0];
  const join = (list) => list.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return {
    who, at, board,
    n: `${item.from}-${item.number}-${item.offset}`,
    dir: item.from === "client" ? "in" : "out",
    name: item.type,
    header: item.header.replaceAll(" ", ""),
    fin: item.fin, rsv: [item.rsv1, item.rsv2, item.rsv3], opcode: item.opcode, masked: item.masked,
    lengthForm: item.length_bits, length: item.length, key: item.key,
    plain: join(plain), payload: join(plain.map((byte, i) => byte ^ key[i % key.length])),
    printed: plain.map(glyph).join(""),
    text: item.payload.text ?? item.message?.text ?? null,
    close: item.close ?? null,
    problems: item.violations.map(({ what, section, close_code }) => ({ what, section, code: close_code })),
  };
}

/** The drawing and, for those who cannot see it, the same as a table. */
export function draw(frame) {
  const parts = document.createDocumentFragment();
  const title = document.createElement("p");
  title.append(strong(`${frame.name}, ${count(frame.length, "byte")}`),
    ` ${frame.dir === "in" ? "to the server" : "from the server"}${frame.who === "peer" ? ", by the peer beside it" : ""}`);
  parts.append(title);
  for (const problem of frame.problems) {
    const p = document.createElement("p");
    p.className = "problem";
    p.textContent = `${problem.what} (${problem.section}): ${problem.code ? `it deserves ${problem.code}` : "it is not looked at"}.`;
    parts.append(p);
  }
  parts.append(bits(frame), table(frame));
  return parts;
}

function bits(frame) {
  const grid = document.createElement("div");
  grid.className = "bits";
  grid.setAttribute("aria-hidden", "true");
  for (let bit = 0; bit < 32; bit++) grid.append(cell("ruler", bit % 10, "", 1));
  let column = 0;
  for (const field of fields(frame)) {
    // A field that does not fit into the line goes on in the next.
    let left = field.bits, first = true;
    while (left > 0) {
      const span = Math.min(left, 32 - column);
      const cut = field.bits > 8 && span < field.bits;
      grid.append(cell(`cell ${field.kind}`, first || cut ? field.show(field.bits - left, span) : "", first ? field.label : "", span));
      left -= span;
      column = (column + span) % 32;
      first = false;
    }
  }
  if (column) grid.append(cell("cell empty", "", "", 32 - column));
  return grid;
}

/** The fields in their order on the wire: how many bits, and what to show of a run of them. */
function fields(frame) {
  const whole = (text) => () => text;
  const header = bytes(frame.header);
  const list = [
    { kind: "fin", bits: 1, label: "F", show: whole(+frame.fin) },
    ...frame.rsv.map((set, i) => ({ kind: "rsv", bits: 1, label: "R", show: whole(+set), i })),
    { kind: "opcode", bits: 4, label: "opcode", show: whole(binary(frame.opcode, 4)) },
    { kind: "mask", bits: 1, label: "M", show: whole(+frame.masked) },
    { kind: "len", bits: 7, label: "length", show: whole(header[1] & 0x7f) },
  ];
  const extended = { 7: 0, 16: 2, 64: 8 }[frame.lengthForm];
  const run = (from, size) => (at, span) => hex(header.slice(from, from + size).slice(at / 8, (at + span) / 8));
  if (extended) list.push({ kind: "len", bits: extended * 8, label: "extended length", show: run(2, extended) });
  if (frame.masked) list.push({ kind: "key", bits: 32, label: "masking key", show: run(2 + extended, 4) });
  const masked = bytes(frame.payload), plain = bytes(frame.plain);
  for (let i = 0; i < Math.min(masked.length, PAYLOAD_SHOWN); i++) {
    list.push({ kind: "payload", bits: 8, label: frame.masked ? `${hex([plain[i]])} ${glyph(plain[i])}` : glyph(plain[i]), show: whole(hex([masked[i]])) });
  }
  return list;
}

function table(frame) {
  const key = frame.masked ? frame.key : null;
  const rows = [
    ["FIN", +frame.fin, frame.fin ? "the last, or only, frame of its message" : "more fragments follow"],
    ["RSV1–3", frame.rsv.map(Number).join(" "), frame.rsv[0] ? "RSV1: compressed, where permessage-deflate was agreed to" : "no extension uses them here"],
    ["opcode", `${binary(frame.opcode, 4)} = ${frame.opcode}`, OPCODES[frame.opcode] ?? "reserved: nobody may send it"],
    ["MASK", +frame.masked, frame.masked ? "masked, as a client must" : "not masked, as a server must not"],
    ["Payload len", `${frame.lengthForm} bits: ${frame.length}`, { 7: "up to 125: it stands in the seven bits", 16: "the seven bits say 126: the next 16 bits", 64: "the seven bits say 127: the next 64 bits" }[frame.lengthForm]],
  ];
  if (key) rows.push(["Masking-key", key, "drawn afresh for each frame; byte i of the payload is XORed with byte i mod 4"]);
  rows.push(["Payload", shorten(frame.payload), key ? "as it went over the wire" : "as it went over the wire, in the clear"]);
  if (key) rows.push(["Unmasked", shorten(frame.plain), "what it says"]);
  if (frame.text !== null) rows.push(["As text", frame.text.length > 300 ? `${frame.text.slice(0, 300)}…` : frame.text, ""]);
  if (frame.close) rows.push(["Close code", frame.close.code ?? "none", frame.close.reason ? `reason: ${frame.close.reason}` : "no reason given"]);
  const table = document.createElement("table");
  table.className = "fields";
  for (const [name, value, meaning] of rows) {
    const tr = table.insertRow();
    const th = document.createElement("th");
    th.scope = "row";
    th.textContent = name;
    tr.append(th);
    tr.insertCell().textContent = value;
    tr.insertCell().textContent = meaning;
  }
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.append(table);
  return scroll;
}

function cell(kind, main, sub, span) {
  const div = document.createElement("div");
  div.className = kind;
  div.style.gridColumn = `span ${span}`;
  if (kind === "ruler") { div.textContent = main; return div; }
  const b = document.createElement("b"), i = document.createElement("i");
  b.textContent = main;
  i.textContent = sub;
  div.append(b, i);
  return div;
}

function strong(text) {
  const element = document.createElement("strong");
  element.textContent = text;
  return element;
}

export function count(n, what) {
  return `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
}

const bytes = (text) => text.match(/[0-9a-f]{2}/g)?.map((pair) => parseInt(pair, 16)) ?? [];
const hex = (list) => [...list].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
const binary = (n, size) => n.toString(2).padStart(size, "0");
const glyph = (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·");
const shorten = (text) => {
  const shown = text.slice(0, PAYLOAD_SHOWN * 2).replace(/../g, "$& ").trim();
  return shown ? shown + (text.length > PAYLOAD_SHOWN * 2 ? " …" : "") : "empty";
};
