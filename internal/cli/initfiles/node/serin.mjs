// Connects this app with serin: errors by Sentry's SDK, flags by OpenFeature's.
// Import it before the rest of the app. It needs SERIN_URL, SERIN_SERVER_KEY
// and SERIN_DSN in the environment. SERIN_OFF lists flags (comma between) that are
// false whatever serin says, for the day on which it cannot be asked.
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import * as Sentry from "@sentry/node";

/** The longest that a request waits for serin, in milliseconds. */
const TIMEOUT = 800;

Sentry.init({ dsn: process.env.SERIN_DSN, release: process.env.RELEASE, environment: process.env.ENVIRONMENT ?? "production" });

OpenFeature.setProvider(
  new OFREPProvider({
    baseUrl: process.env.SERIN_URL ?? "http://127.0.0.1:8750",
    headers: [["X-API-Key", process.env.SERIN_SERVER_KEY ?? ""]],
    fetchImplementation: (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(TIMEOUT) }),
  }),
);

const client = OpenFeature.getClient();
const off = (process.env.SERIN_OFF ?? "").split(",");

/**
 * Evaluates a boolean flag for a user, and lets the errors of this request say
 * which variant it was. The user's id is the targeting key and the telemetry's
 * user id: they must be the same. Without an answer it is false.
 */
export async function enabled(flag, user) {
  const { id, ...attributes } = user;
  Sentry.setUser({ id });
  if (off.includes(flag)) return false;
  const { value, variant, errorCode } = await client.getBooleanDetails(flag, false, { ...attributes, targetingKey: id });
  if (!errorCode) Sentry.setTag(`flag.${flag}`, variant ?? String(value));
  return value;
}
