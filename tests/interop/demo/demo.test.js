// `openline demo` in headless Chromium: two tabs talk, and the wire beneath them is shown.
// Pictures of the page are left under target/interop/demo/.

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { mkdirSync } = require("node:fs");
const { once } = require("node:events");
const { after, before, test } = require("node:test");
const { createInterface } = require("node:readline");
const { chromium } = require("playwright-core");

const PICTURES = `${process.env.TARGET}/interop/demo/`;
const FAILURES = {
  unmasked: "1002", rsv1: "1002", opcode: "1002", "fragmented-ping": "1002", "long-ping": "1002",
  "long-length": "1002", continuation: "1002", utf8: "1007", "close-code": "1002", "close-short": "1002",
};
let demo, url, browser;

before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  demo = spawn(process.env.OPENLINE, ["demo", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface({ input: demo.stdout }), "line");
  url = /http:\/\/\S+/.exec(line)[0];
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});

after(async () => {
  await browser?.close();
  demo?.kill("SIGTERM");
  if (demo && demo.exitCode === null) assert.deepEqual(await once(demo, "exit"), [0, null]);
});

/** A tab that is connected; whatever its console says is a failure. */
async function open(t, path = "", options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  t.after(async () => {
    await context.close();
    assert.deepEqual(said, []);
  });
  await page.goto(url + path);
  await page.waitForSelector('#state[data-is="open"]');
  await page.waitForSelector('[role="option"]');
  return page;
}

const shows = (page, selector, text) => page.locator(selector, { hasText: text }).first().waitFor();

test("a customer and an agent talk, and see who is there and who is typing", async (t) => {
  const customer = await open(t);
  await shows(customer, "#log", "I answer by rote");
  const agent = await open(t, "?as=agent");
  await shows(customer, "#present", "agent 1");
  assert.doesNotMatch(await customer.textContent("#present"), /automatic/);
  await customer.locator("#text").pressSequentially("Is my line <b>open</b>?");
  await shows(agent, "#typing", "customer 1 is typing");
  await customer.press("#text", "Enter");
  await shows(agent, "#log li", "Is my line <b>open</b>?");
  await agent.fill("#text", "It is.");
  await agent.press("#text", "Enter");
  await shows(customer, "#log li", "It is.");
  await agent.click("#notify");
  await shows(customer, "#notices", "agent 1 notified every tab.");
  await agent.context().close();
  await shows(customer, "#present", "automatic agent");
});

test("the handshake is derived, and each frame is drawn bit by bit", async (t) => {
  const page = await open(t);
  await page.click("#opening summary");
  const key = /Sec-WebSocket-Key: (\S+)/.exec(await page.textContent("#request"))[1];
  const accept = /Sec-WebSocket-Accept: (\S+)/.exec(await page.textContent("#response"))[1];
  const { createHash } = require("node:crypto");
  const digest = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest();
  assert.equal(accept, digest.toString("base64"));
  await shows(page, "#derivation", digest.toString("hex").replace(/../g, "$& ").trim());

  await page.fill("#text", "see me");
  await page.press("#text", "Enter");
  await page.locator('.row[data-dir="in"]', { hasText: "see me" }).click();
  const fields = await page.textContent("#drawing .fields");
  for (const part of ["masked, as a client must", "0001 = 1", '"text":"see me"']) {
    assert.ok(fields.includes(part), `${part} in ${fields}`);
  }
  // The drawing has 32 columns, and each byte of the payload its place.
  assert.equal(await page.locator(".bits .ruler").count(), 32);
  assert.ok((await page.locator(".bits .payload").count()) > 20);

  await page.click('[data-do="length"][data-size="300"]');
  await page.locator(".row", { hasText: "300 B" }).click();
  await shows(page, "#drawing .fields", "16 bits: 300");
  await page.click('[data-do="length"][data-size="70000"]');
  await page.locator(".row", { hasText: "70000 B" }).click();
  await shows(page, "#drawing .fields", "64 bits: 70000");
});

test("frames are reached by keyboard", async (t) => {
  const page = await open(t);
  await page.focus("#list");
  await page.press("#list", "End");
  const last = await page.getAttribute("#list", "aria-activedescendant");
  await page.press("#list", "ArrowUp");
  const before = await page.getAttribute("#list", "aria-activedescendant");
  assert.notEqual(last, before);
  assert.equal(await page.locator('[aria-selected="true"]').count(), 1);
});

test("pings and fragments show on the wire", async (t) => {
  const page = await open(t);
  await page.click('[data-do="ping"]');
  await shows(page, "#rtt", "Ping to Pong");
  await page.click('[data-do="fragments"]');
  await shows(page, "#notices", "This came in three frames, and a Ping passed between them.");
  await page.locator(".row", { hasText: "continuation" }).nth(1).waitFor();
});

test("each way to break the protocol is answered with its close code", async (t) => {
  const page = await open(t);
  const offered = await page.locator("#illegal option").evaluateAll((list) => list.map(({ value }) => value));
  assert.deepEqual(offered.sort(), Object.keys(FAILURES).sort());
  for (const [which, code] of Object.entries(FAILURES)) {
    await page.selectOption("#illegal", which);
    await page.click("#illegal-form button");
    await shows(page, "#outcome", `failed that connection with ${code}`);
    await shows(page, "#outcome", "The server’s verdict: the peer broke the protocol");
  }
});

test("both Close frames go by, whoever is first", async (t) => {
  const page = await open(t);
    // The answer to a Close repeats its code alone, so the first to close hears no reason.
  for (const [side, code, says, verdict] of [
    ["us", "4000", "4000, cleanly", "the peer closed with 4000"],
    ["server", "3000", "3000 (seen enough), cleanly", "we closed with 3000"],
  ]) {
    await page.selectOption("#code", code);
    await page.fill("#reason", "seen enough");
    await page.click(`#close-form button[value="${side}"]`);
    await shows(page, "#outcome", `the browser says ${says}`);
    await shows(page, "#verdict", verdict);
    assert.equal(await page.locator(".closing [data-done]").count(), 4);
    await page.click("#reconnect");
    await page.waitForSelector('#state[data-is="open"]');
  }
});

test("the dashboard moves, and polling has its price", async (t) => {
  const page = await open(t);
  await page.selectOption("#interval", "500");
  await page.fill("#text", "how late is this?");
  await page.press("#text", "Enter");
  await page.waitForFunction(() => {
    const row = [...document.querySelectorAll("#costs tr")].find((tr) => tr.cells[0].textContent.startsWith("Mean"));
    const known = (tr, form) => [...tr.cells].slice(1).every((td) => form.test(td.textContent));
    return row && known(row, /^\d+ ms$/) && known(row.previousSibling, /^[1-9]/);
  });
  const [events, requests, bytes] = await page.locator("#costs tr").evaluateAll((rows) =>
    rows.map((tr) => [...tr.cells].slice(1).map((td) => parseFloat(td.textContent))));
  assert.ok(events[0] >= events[1] && events[1] > 0, `${events}`);
  assert.ok(requests[0] === 1 && requests[1] > 1, `${requests}`);
  assert.ok(bytes.every((n) => n > 0), `${bytes}`);
  await page.waitForFunction(() => document.querySelector("#spark polyline").getAttribute("points").split(" ").length >= 3);
});

test("another site's page is not let in", async (t) => {
  const page = await open(t);
  const status = await page.request.get(`${url}live`, {
    headers: { Origin: "http://evil.example", Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" },
  });
  assert.equal(status.status(), 403);
  // Nor is the wire of a tab told to those who do not know its secret.
  const wire = await page.request.get(`${url}wire?key=guess`, {
    headers: { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" },
  });
  assert.equal(wire.status(), 403);
});

for (const [name, width, height, colorScheme] of [["desk", 1360, 900, "light"], ["desk-dark", 1360, 900, "dark"], ["phone", 390, 844, "light"], ["phone-dark", 390, 844, "dark"]]) {
  test(`it fits, and is left as a picture: ${name}`, async (t) => {
    const page = await open(t, "", { viewport: { width, height }, colorScheme });
    await page.fill("#text", "Where is my parcel?");
    await page.press("#text", "Enter");
    // The greeting, the question, the answer.
    await page.locator("#log li", { hasText: "automatic agent" }).nth(1).waitFor();
    await page.locator(".row[data-dir='in']", { hasText: "parcel" }).click();
    await page.click("#opening summary");
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${overflow} px too wide`);
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(/rgb\((\d+)/.exec(ground)[1] < 128, colorScheme === "dark", ground);
    await page.screenshot({ path: `${PICTURES}${name}.png`, fullPage: true });
  });
}
