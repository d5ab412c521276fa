// A small shop whose checkout is behind a flag: node's own HTTP server,
// OpenFeature with the OFREP provider, and Sentry's SDK for the errors.
// See docs/guide/node.md.
import { createServer } from "node:http";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import * as Sentry from "@sentry/node";

const FLAG = "newCheckout";
const { SERIN_URL = "http://127.0.0.1:8750", SERIN_SERVER_KEY = "", SERIN_DSN, PORT = "3000" } = process.env;

/** The longest that a request waits for serin, and how long none asks after a failure, in milliseconds. */
const TIMEOUT = 800;
const PAUSE = 2_000;

// Errors go to serin by the DSN; without one nothing is sent.
Sentry.init({ dsn: SERIN_DSN, release: "node-example@1.0.0", environment: "production" });

// Flags come from serin. The provider sets no limit of its own, so fetch does.
OpenFeature.setProvider(
  new OFREPProvider({
    baseUrl: SERIN_URL,
    headers: [["X-API-Key", SERIN_SERVER_KEY]],
    fetchImplementation: (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(TIMEOUT) }),
  }),
);
const flags = OpenFeature.getClient();
let pausedUntil = 0;

/** Evaluates FLAG. It never throws; without an answer it is the old checkout. */
async function evaluate(user) {
  if (Date.now() < pausedUntil) return { value: false };
  const details = await flags.getBooleanDetails(FLAG, false, { targetingKey: user, role: "admin" });
  if (details.errorCode) {
    console.warn(`flag ${FLAG}: ${details.errorCode} ${details.errorMessage}; the old checkout is shown`);
    if (details.errorCode === "GENERAL") pausedUntil = Date.now() + PAUSE; // not reached, or no time
  }
  return details;
}

/** The old or the new checkout. The new one cannot cope with a broken cart, so that there is something to notice. */
function checkout(renewed, cart) {
  if (!renewed) return "old checkout";
  if (cart === "broken") throw new TypeError("new checkout: cart is broken");
  return "new checkout";
}

const server = createServer(async (request, response) => {
  const query = new URL(request.url, "http://shop").searchParams;
  // The targeting key and the telemetry's user id are the same value. A real
  // shop takes it from the session; the query stands in for that.
  const user = query.get("user") ?? "anonymous";
  const { value, variant } = await evaluate(user);
  try {
    response.end(checkout(value, query.get("cart")) + "\n");
  } catch (error) {
    Sentry.captureException(error, {
      user: { id: user },
      tags: { feature: "checkout", [`flag.${FLAG}`]: variant ?? String(value) }, // which arm it counts for
    });
    response.writeHead(500).end("The checkout did not work.\n");
  }
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`shop at http://127.0.0.1:${PORT}/?user=ada`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    server.close();
    await Sentry.close(2_000); // what was captured is sent first
    process.exit(0);
  });
}
