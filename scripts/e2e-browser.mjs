// A person's browser in the Next.js example: node scripts/e2e-browser.mjs CHROMIUM SHOP USER...
//
// Drives Chromium by its DevTools protocol, without a package: for each user in
// turn it signs in, waits for the new dashboard to be hydrated, breaks it, and
// waits until the old one has stepped in. The page's own Sentry SDK reports
// the error. Ends with status 1 where something does not happen within 20 s.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [chromium, shop, ...users] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "serin-browser-"));
// The server's certificate is of an authority that only the test knows.
const browser = spawn(chromium, ["--headless=new", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors",
  "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
const patience = 20_000;

/** The address that Chromium prints once it listens. */
const listening = new Promise((resolve, reject) => {
  let said = "";
  browser.stderr.on("data", (text) => {
    said += text;
    const found = /ws:\/\/127\.0\.0\.1:(\d+)\//.exec(said);
    if (found) resolve(Number(found[1]));
  });
  browser.on("exit", () => reject(new Error(`${chromium} ended: ${said}`)));
});

async function drive(port) {
  const tabs = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json();
  const socket = new WebSocket(tabs.find((tab) => tab.type === "page").webSocketDebuggerUrl);
  await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
  const waiting = new Map();
  socket.onmessage = ({ data }) => {
    const { id, result, error } = JSON.parse(data);
    waiting.get(id)?.(error ? { failed: error.message } : result);
    waiting.delete(id);
  };
  let last = 0;
  const call = (method, params) =>
    new Promise((resolve) => {
      waiting.set(++last, resolve);
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  const ask = async (expression) => (await call("Runtime.evaluate", { expression, returnByValue: true })).result?.value;
  const see = async (what, expression) => {
    for (const until = Date.now() + patience; !(await ask(expression)); ) {
      if (Date.now() > until) throw new Error(`not seen: ${what}; the page says: ${await ask("document.body.innerText")}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  for (const user of users) {
    await call("Network.setCookie", { url: shop, name: "demo_user", value: `${user}|admin` });
    await call("Page.navigate", { url: `${shop}/admin/users` });
    await see(`the new dashboard for ${user}`, `document.querySelector("#new") !== null && document.querySelector("[data-shown]")?.dataset.live === "new"`);
    await call("Runtime.evaluate", { expression: `document.querySelector("#break").click()` });
    await see(`the old dashboard after the error of ${user}`, `document.querySelector("#old") !== null`);
    await new Promise((resolve) => setTimeout(resolve, 300)); // the SDK sends
    await call("Page.navigate", { url: "about:blank" });
  }
  socket.close();
}

try {
  await drive(await listening);
} catch (err) {
  console.error(`e2e-browser: ${err.message}`);
  process.exitCode = 1;
} finally {
  browser.removeAllListeners("exit");
  const ended = new Promise((resolve) => browser.on("exit", resolve));
  browser.kill();
  await ended;
  // Chromium's helpers may write for a moment after it has ended.
  try {
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  } catch (err) {
    console.error(`e2e-browser: left behind: ${err.message}`);
  }
}
