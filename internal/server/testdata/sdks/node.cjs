// An ordinary Node.js service with Sentry's SDK: it serves two requests of one
// user, reports an error that it handled, takes a complaint where the SDK can,
// and ends; for new it dies of an error that nobody handled.
//
// Argument: the folder whose packages are used. Environment: DSN, USER_ID,
// VARIANT (new or old; only new breaks).
const { createRequire } = require("node:module");
const { join } = require("node:path");

const packages = createRequire(join(process.argv[2], "package.json"));
const Sentry = packages("@sentry/node");
const oldest = !Sentry.getClient;
if (oldest) packages("@sentry/tracing");

const isNew = process.env.VARIANT === "new";
Sentry.init({
  dsn: process.env.DSN,
  release: "shop@1.0.0",
  environment: "production",
  tracesSampleRate: 1,
  normalizeDepth: 5, // the default, 3, cuts the flags out of their context
  initialScope: { user: { id: process.env.USER_ID } },
  integrations: oldest ? undefined : [Sentry.featureFlagsIntegration()],
});

// http is loaded after init, which instruments it in later releases.
const http = require("node:http");

function seen() {
  if (oldest) Sentry.setContext("flags", { values: [{ flag: "newCheckout", result: isNew }] });
  else Sentry.getClient().getIntegrationByName("FeatureFlags").addFeatureFlag("newCheckout", isNew);
  if (!oldest) Sentry.setUser({ id: process.env.USER_ID });
}

function answer(req, res) {
  seen();
  if (req.url === "/cart") {
    Sentry.captureException(new RangeError("cart is slow"));
    res.statusCode = isNew ? 500 : 200;
  }
  res.end(req.url);
}

// The oldest release has request handlers for this, the newest instruments
// the module by itself.
function handler(req, res) {
  if (!oldest) return answer(req, res);
  Sentry.Handlers.requestHandler({ ip: false })(req, res, () => Sentry.Handlers.tracingHandler()(req, res, () => answer(req, res)));
}

function get(port, path) {
  return new Promise((done, failed) => {
    http.get({ port, path, host: "127.0.0.1", agent: false }, (res) => res.resume().on("end", done)).on("error", failed);
  });
}

const server = http.createServer(handler).listen(0, "127.0.0.1", async () => {
  const { port } = server.address();
  await get(port, "/cart");
  await get(port, "/pay");
  server.close();
  seen();
  Sentry.captureFeedback?.({ message: "where is my cart?" }, { captureContext: { tags: { kind: "complaint" } } });
  if (Sentry.captureCheckIn) Sentry.captureCheckIn({ monitorSlug: "shop", status: "ok" });
  if (isNew) {
    setImmediate(() => {
      throw new TypeError("cart is broken");
    });
    return; // the SDK sends what is left and ends the process
  }
  await Sentry.close(10_000); // sessions wait for a minute otherwise
  process.exit();
});
