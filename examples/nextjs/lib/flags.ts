import { OpenFeature } from "@openfeature/server-sdk";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { type Evaluation, FLAG, type User } from "./settings";

/** The longest that a request waits for serin, in milliseconds. */
const TIMEOUT = 800;
/** How long requests go without asking after serin did not answer, in milliseconds. */
const PAUSE = 2_000;

/** What everybody gets who gets nothing else: the dashboard that has always been there. */
const OLD: Evaluation = { value: false, variant: "" };

const client = OpenFeature.getClient();
let connected = false;
let pausedUntil = 0;

function connect() {
  connected = true;
  OpenFeature.setProvider(
    new OFREPProvider({
      baseUrl: process.env.SERIN_URL!,
      headers: [["X-API-Key", process.env.SERIN_SERVER_KEY ?? ""]],
      fetchImplementation: (input, init) => fetch(input, { ...init, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) }),
    }),
  );
}

/**
 * Evaluates FLAG for a user. It never throws and answers within TIMEOUT: the
 * old dashboard when serin does not answer. The role is checked here whatever
 * the flag says, because a flag is no permission.
 */
export async function evaluate(user: User): Promise<Evaluation> {
  if (user.role !== "admin" || !process.env.SERIN_URL || Date.now() < pausedUntil) return OLD;
  if (!connected) connect();
  const details = await client.getBooleanDetails(FLAG, false, { targetingKey: user.id, role: user.role });
  if (details.errorCode) {
    console.warn(`flag ${FLAG}: ${details.errorCode} ${details.errorMessage ?? ""}; the old dashboard is shown`);
    // GENERAL is also what a timeout and a refused connection are.
    if (details.errorCode === "GENERAL") pausedUntil = Date.now() + PAUSE;
    return OLD;
  }
  return { value: details.value, variant: details.variant ?? "" };
}
