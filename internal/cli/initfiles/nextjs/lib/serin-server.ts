// Flags in server components and route handlers. It needs SERIN_URL and
// SERIN_SERVER_KEY in the environment. SERIN_OFF lists flags (comma between)
// that are false whatever serin says, for the day on which it cannot be asked.
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

/** The longest that a request waits for serin, in milliseconds. */
const TIMEOUT = 800;

const client = OpenFeature.getClient();
let connected = false;

function connect() {
  connected = true;
  OpenFeature.setProvider(
    new OFREPProvider({
      baseUrl: process.env.SERIN_URL ?? "http://127.0.0.1:8750",
      headers: [["X-API-Key", process.env.SERIN_SERVER_KEY ?? ""]],
      fetchImplementation: (input, init) => fetch(input, { ...init, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) }),
    }),
  );
}

/** Evaluates a boolean flag for a user; without an answer it is false. */
export async function enabled(flag: string, user: { id: string } & Record<string, string>): Promise<boolean> {
  if ((process.env.SERIN_OFF ?? "").split(",").includes(flag)) return false;
  if (!connected) connect();
  const { id, ...attributes } = user;
  return client.getBooleanValue(flag, false, { ...attributes, targetingKey: id });
}
