// Runs in the server of Next.js, once at its start.
import type { Instrumentation } from "next";
import { ENVIRONMENT, RELEASE } from "./lib/settings";

export async function register() {
  if (process.env.NEXT_RUNTIME !== "nodejs" || !process.env.SERIN_DSN) return;
  const Sentry = await import("@sentry/node");
  Sentry.init({ dsn: process.env.SERIN_DSN, release: RELEASE, environment: ENVIRONMENT });
}

/** Errors of server components, route handlers and server rendering. */
export const onRequestError: Instrumentation.onRequestError = async (error, request) => {
  if (process.env.NEXT_RUNTIME !== "nodejs") return;
  const Sentry = await import("@sentry/node");
  Sentry.captureException(error, { tags: { path: request.path.split("?")[0], method: request.method } });
};
