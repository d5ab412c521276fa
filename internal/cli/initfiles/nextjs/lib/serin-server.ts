// Flags in server components and route handlers. It needs SERIN_URL and
// SERIN_SERVER_KEY in the environment.
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
  if (!connected) connect();
  const { id, ...attributes } = user;
  return client.getBooleanValue(flag, false, { ...attributes, targetingKey: id });
}
