'use strict';

const data = JSON.parse(document.getElementById('data').textContent);
const byId = (id) => document.getElementById(id);

// Everything becomes text by way of this: nothing of a peer's is ever markup.
function make(name, properties, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key.startsWith('aria-') || key === 'scope' || key === 'colspan') element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const VERDICTS = {
  'OK': { look: 'ok', sign: '✓', short: 'OK' },
  'NON-STRICT': { look: 'strict', sign: '~', short: 'non-strict' },
  'INFORMATIONAL': { look: 'info', sign: 'i', short: 'info' },
  'UNIMPLEMENTED': { look: 'none', sign: '–', short: 'lacks it' },
  'FAILED': { look: 'failed', sign: '✗', short: 'failed' },
};
const ENDS_WELL = new Set(['OK', 'INFORMATIONAL']);

// One verdict of the two: an ending that is wrong makes a failure of a good answer.
function verdict(result) {
  if (!ENDS_WELL.has(result.close) && result.behavior !== 'FAILED') return 'FAILED';
  return result.behavior in VERDICTS ? result.behavior : 'FAILED';
}

function result(agent, id) {
  return Object.hasOwn(agent.results, id) ? agent.results[id] : null;
}

const families = new Map();
for (const it of data.cases) {
  if (!families.has(it.family)) families.set(it.family, []);
  families.get(it.family).push(it);
}
const many = data.agents.length > 4;
const opened = new Set(data.cases.length <= 60 ? families.keys() : []);
const shown = new Set(Object.keys(VERDICTS));

function counts(agent, cases) {
  const counted = {};
  for (const it of cases) {
    const found = result(agent, it.id);
    if (found) counted[verdict(found)] = (counted[verdict(found)] || 0) + 1;
  }
  return counted;
}

function drawSummary() {
  const what = data.peer === 'client' ? 'clients' : 'servers';
  byId('peer').textContent = `of ${data.agents.length === 1 ? what.slice(0, -1) : what}`;
  byId('about').textContent = `${data.cases.length} cases against ${data.agents.length} ` +
    `${data.agents.length === 1 ? 'agent' : 'agents'}, by openline ${data.version}. ` +
    'Choose a verdict to see what was sent and received, frame by frame.';
  for (const [n, agent] of data.agents.entries()) {
    const counted = counts(agent, data.cases);
    const bar = make('div', { className: 'bar' });
    const words = make('p');
    for (const [name, { look, short }] of Object.entries(VERDICTS)) {
      if (!counted[name]) continue;
      const part = make('i', { className: look });
      part.style.flex = counted[name];
      bar.append(part);
      if (words.childNodes.length) words.append(' · ');
      words.append(make('b', { className: look }, String(counted[name])), ` ${short}`);
    }
    const number = many ? make('small', {}, String(n + 1)) : null;
    byId('summary').append(make('div', { className: 'agent' }, make('h2', {}, number, agent.name), bar, words));
  }
}

function drawFilters() {
  for (const [name, { look, sign, short }] of Object.entries(VERDICTS)) {
    const box = make('input', { type: 'checkbox', checked: true });
    box.addEventListener('change', () => {
      if (box.checked) shown.add(name); else shown.delete(name);
      drawRows();
    });
    byId('verdicts').append(make('label', {}, box, make('span', { className: `tag ${look}` }, `${sign} ${short}`)));
  }
  byId('differ-label').hidden = data.agents.length < 2;
  byId('find').addEventListener('input', drawRows);
  byId('differ').addEventListener('change', drawRows);
  byId('filters').addEventListener('submit', (event) => event.preventDefault());
  byId('open').addEventListener('click', () => { for (const name of families.keys()) opened.add(name); drawRows(); });
  byId('close').addEventListener('click', () => { opened.clear(); drawRows(); });
}

function fits(it) {
  const words = byId('find').value.trim().toLowerCase();
  if (words) {
    const text = `${it.id} ${it.title} ${it.rfc || ''}`.toLowerCase();
    if (!words.split(/\s+/).every((word) => text.includes(word))) return false;
  }
  const verdicts = data.agents.map((agent) => result(agent, it.id)).filter(Boolean).map(verdict);
  if (byId('differ').checked && new Set(verdicts).size < 2) return false;
  return verdicts.some((name) => shown.has(name));
}

function isFiltered() {
  return byId('find').value.trim() !== '' || byId('differ').checked || shown.size < Object.keys(VERDICTS).length;
}

function drawHead() {
  const row = make('tr', {}, make('th', { scope: 'col' }, 'Case'));
  for (const [n, agent] of data.agents.entries()) {
    const label = many ? `${n + 1}  ${agent.name}` : agent.name;
    row.append(make('th', { scope: 'col', title: agent.name }, make('span', {}, label)));
  }
  byId('matrix').append(make('thead', {}, row));
}

function drawRows() {
  const table = byId('matrix');
  for (const body of [...table.tBodies]) body.remove();
  const filtered = isFiltered();
  let count = 0;
  for (const [name, cases] of families) {
    const fitting = cases.filter(fits);
    if (fitting.length === 0) continue;
    count += fitting.length;
    const body = make('tbody');
    const isOpen = opened.has(name) || (filtered && fitting.length <= 40);
    const title = data.groups[name] || '';
    const toggle = make('button', { type: 'button', 'aria-expanded': String(isOpen) }, `${name} `, make('span', {}, title));
    toggle.addEventListener('click', () => {
      if (isOpen) opened.delete(name); else opened.add(name);
      drawRows();
      const again = [...table.querySelectorAll('tr.family button')].find((b) => b.dataset.family === name);
      if (again) again.focus();
    });
    toggle.dataset.family = name;
    const head = make('tr', { className: 'family' }, make('th', { scope: 'rowgroup' }, toggle));
    for (const agent of data.agents) head.append(drawSum(agent, fitting));
    body.append(head);
    if (isOpen) drawCases(body, name, fitting);
    table.append(body);
  }
  byId('count').textContent = filtered ? `${count} of ${data.cases.length} cases` : '';
}

function drawSum(agent, cases) {
  const counted = counts(agent, cases);
  const played = Object.values(counted).reduce((a, b) => a + b, 0);
  const cell = make('td');
  if (played === 0) return cell;
  if (counted['FAILED']) cell.append(make('b', {}, `✗ ${counted['FAILED']} `));
  if (counted['NON-STRICT']) cell.append(make('i', {}, `~ ${counted['NON-STRICT']} `));
  const lacking = counted['UNIMPLEMENTED'] || 0;
  if (lacking) cell.append(`– ${lacking} `);
  if (counted['FAILED'] || counted['NON-STRICT']) cell.append(`of ${played}`);
  else if (played > lacking) cell.append(`✓ ${played - lacking}`);
  return cell;
}

function drawCases(body, family, cases) {
  let group = family;
  for (const it of cases) {
    if (it.group && it.group !== group) {
      group = it.group;
      const title = `${group}  ${data.groups[group] || ''}`;
      body.append(make('tr', { className: 'group' }, make('th', { scope: 'rowgroup' }, title), make('td', { colspan: data.agents.length })));
    }
    const row = make('tr', {}, make('th', { scope: 'row', title: it.title }, make('code', {}, it.id), make('span', {}, it.title)));
    for (const [n, agent] of data.agents.entries()) {
      const found = result(agent, it.id);
      row.append(make('td', {}, found ? drawCell(it, n, found) : null));
    }
    body.append(row);
  }
}

function drawCell(it, n, found) {
  const { look, sign, short } = VERDICTS[verdict(found)];
  const ending = !ENDS_WELL.has(found.close) && found.behavior !== 'FAILED';
  const label = `${data.agents[n].name}, ${it.id}: ${found.behavior}, at the end ${found.close}`;
  const cell = make('button', { type: 'button', className: `cell ${look}`, title: label, 'aria-label': label }, `${sign} ${ending ? found.behavior.toLowerCase() : short}`);
  if (ending) cell.append(make('small', {}, `end: ${found.close.toLowerCase()}`));
  cell.dataset.place = `${it.id}|${n}`;
  cell.addEventListener('click', () => show(it, n));
  return cell;
}

// Arrow keys go from verdict to verdict.
byId('matrix').addEventListener('keydown', (event) => {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const cell = event.target.closest('td, th');
  if (!step || !cell) return;
  let row = cell.parentElement;
  let column = cell.cellIndex + step[1];
  if (step[0] !== 0) {
    const rows = [...byId('matrix').rows];
    let at = rows.indexOf(row) + step[0];
    while (rows[at] && !(rows[at].cells[column] || rows[at].cells[0]).querySelector('button') && !rows[at].cells[0].querySelector('button')) at += step[0];
    row = rows[at];
    if (!row) return;
    if (!row.cells[column] || !row.cells[column].querySelector('button')) column = row.cells[0].querySelector('button') ? 0 : 1;
  }
  const button = row.cells[column] && row.cells[column].querySelector('button');
  if (button) { button.focus(); event.preventDefault(); }
});

function show(it, n) {
  const agent = data.agents[n];
  const found = result(agent, it.id);
  const dialog = byId('detail');
  dialog.replaceChildren();
  const near = make('div', { className: 'near' });
  const visible = data.cases.filter((other) => fits(other) && result(agent, other.id));
  const at = visible.indexOf(it);
  for (const [label, text, other] of [['previous case', '↑', visible[at - 1]], ['next case', '↓', visible[at + 1]]]) {
    const button = make('button', { type: 'button', title: label, 'aria-label': label, disabled: !other }, text);
    if (other) button.addEventListener('click', () => show(other, n));
    near.append(button);
  }
  const close = make('button', { type: 'button', className: 'close' }, 'close');
  close.addEventListener('click', () => dialog.close());
  near.append(close);
  const section = it.link && /^https:\/\/www\.rfc-editor\.org\//.test(it.link)
    ? make('a', { href: it.link, rel: 'noreferrer' }, it.rfc) : (it.rfc || '');
  const title = make('div', {}, make('h2', { id: 'detail-title' }, `${it.id}  ${it.title || ''}`), make('p', {}, section, ` · ${agent.name}`));
  dialog.append(make('div', { className: 'top' }, title, near));

  const body = make('div', { className: 'body' });
  const { look } = VERDICTS[found.behavior] || VERDICTS['FAILED'];
  body.append(make('p', {}, make('span', { className: `tag ${look}` }, found.behavior), ` ${found.result || ''}`));
  const end = ENDS_WELL.has(found.close) ? 'ok' : 'failed';
  body.append(make('p', {}, make('span', { className: `tag ${end}` }, `end: ${found.close}`), ` ${found.resultClose || ''}`));
  if (it.why) body.append(make('h3', {}, 'Why'), make('p', {}, it.why));
  if (it.steps && it.steps.length) body.append(make('h3', {}, 'What is sent'), list(it.steps));
  if (it.expectation && it.expectation.length) body.append(make('h3', {}, 'What is expected'), list(it.expectation));
  body.append(make('h3', {}, `What passed, in ${found.milliseconds} ms`));
  body.append(found.log ? drawLog(found.log) : make('p', {}, 'There is no record of it here.'));
  if (data.agents.length > 1) body.append(make('h3', {}, 'The others'), drawOthers(it, n));
  dialog.append(body);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  history.replaceState(null, '', `#${encodeURIComponent(it.id)}|${n}`);
}

function list(lines) {
  return make('ul', {}, ...lines.map((line) => make('li', {}, line)));
}

function drawOthers(it, n) {
  const paragraph = make('p');
  for (const [other, agent] of data.agents.entries()) {
    const found = result(agent, it.id);
    if (other === n || !found) continue;
    const { look, sign } = VERDICTS[verdict(found)];
    const button = make('button', { type: 'button', className: `cell ${look}` }, `${sign} ${agent.name}: ${found.behavior}`);
    button.style.width = 'auto';
    button.style.display = 'inline-block';
    button.addEventListener('click', () => show(it, other));
    paragraph.append(button);
  }
  return paragraph;
}

function drawLog(entries) {
  const log = make('ol', { className: 'log' });
  for (const entry of entries) {
    const item = make('li', { className: entry.kind === 'violation' ? 'violation' : (entry.way || '') });
    const line = make('div', { className: 'line' });
    item.append(line);
    const arrow = { sent: '→ ', received: '← ' }[entry.way] || '';
    const [what, ...more] = words(entry);
    line.append(make('span', { className: 'what' }, arrow + what));
    for (const text of more.filter(Boolean)) line.append(make('span', { className: 'flags' }, text));
    if (entry.at !== undefined) line.append(make('span', { className: 'at' }, `${(entry.at / 1000).toFixed(3)} s`));
    if (entry.kind === 'head') item.append(make('pre', {}, entry.text.trimEnd()));
    if (entry.kind === 'frame' || entry.kind === 'bytes') {
      if (entry.text && entry.text !== '""') item.append(make('pre', {}, entry.text));
      if (entry.header || entry.hex) item.append(make('div', { className: 'hex' }, make('b', {}, spaced(entry.header || '')), entry.header && entry.hex ? '  ' : '', spaced(entry.hex || '')));
    }
    log.append(item);
  }
  if (entries.length === 0) log.append(make('li', {}, 'nothing'));
  return log;
}

function words(entry) {
  const bytes = (n) => (n === 1 ? '1 byte' : `${n} bytes`);
  switch (entry.kind) {
    case 'head': return [entry.way === 'sent' ? 'our head' : "the peer's head"];
    case 'frame': return [
      entry.name === 'reserved' ? `opcode 0x${entry.opcode.toString(16)}` : entry.name,
      entry.code ? `code ${entry.code}` : '', bytes(entry.length), entry.flags || 'not FIN',
      entry.mask ? `mask ${entry.mask}` : 'not masked', entry.form > 7 ? `length in ${entry.form} bits` : '',
      entry.missing ? `${bytes(entry.missing)} of it never follow` : '',
    ];
    case 'bytes': return ['bytes that are no frame', bytes(entry.length)];
    case 'pause': return [`silence for ${entry.milliseconds / 1000} s`];
    case 'end': return ['the end of the stream'];
    case 'reset': return ['the connection is reset'];
    case 'dropped': return ['we drop the connection'];
    case 'deadline': return ['the time is up'];
    case 'violation': return [entry.text];
    case 'omitted': return [`${entry.count} more that were not kept`];
    default: return [entry.kind];
  }
}

function spaced(digits) {
  return digits.replace(/([0-9a-f]{2})(?=[0-9a-f])/g, '$1 ');
}

byId('detail').addEventListener('close', () => {
  const place = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, '', location.pathname + location.search);
  const cell = [...document.querySelectorAll('.cell[data-place]')].find((c) => c.dataset.place === place);
  if (cell) cell.focus();
});
byId('detail').addEventListener('click', (event) => { if (event.target === byId('detail')) byId('detail').close(); });

drawSummary();
drawFilters();
drawHead();
drawRows();
const [id, n] = decodeURIComponent(location.hash.slice(1)).split('|');
const linked = data.cases.find((it) => it.id === id);
if (linked && data.agents[n] && result(data.agents[n], id)) show(linked, Number(n));
