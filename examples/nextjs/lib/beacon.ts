import { ENVIRONMENT, type Evaluation, FEATURE, FLAG, RELEASE, settings } from "./settings";

/** Identifies this page load, so that metrics which arrive apart are joined. */
const load = crypto.randomUUID();

let shown: Evaluation | null = null;

/** Notes which dashboard is on the screen, null for none; every record sent from now on says so. */
export function showing(evaluation: Evaluation | null) {
  shown = evaluation;
}

/** The variant on the screen, in the words of the flag's definition. */
export const variantOf = (e: Evaluation) => e.variant || String(e.value);

/**
 * Sends records to serin: metrics, actions, surveys, feedback. It does not wait
 * and never fails; the browser delivers even while the page is being left.
 */
export function send(records: object) {
  const { dsn, user } = settings();
  if (!dsn || !user) return;
  const { protocol, host, username, pathname } = new URL(dsn);
  navigator.sendBeacon(
    `${protocol}//${host}/api${pathname}/beacon/?sentry_key=${username}`,
    JSON.stringify({
      v: 1,
      user,
      page: location.pathname,
      release: RELEASE,
      environment: ENVIRONMENT,
      load: { id: load },
      flags: shown ? { [FLAG]: variantOf(shown) } : {},
      tags: { feature: FEATURE },
      ...records,
    }),
  );
}
