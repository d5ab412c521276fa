// Connects this page with serin: errors by Sentry's SDK, flags by OpenFeature's.
// Put in the address, the page's key and the DSN that serin gave you; a page's
// key is no secret.
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature } from "@openfeature/web-sdk";
import * as Sentry from "@sentry/browser";

const reported = Sentry.featureFlagsIntegration();

/** Flags that are false whatever serin says; see connect. */
let off = [];

/**
 * Connects once the user is known. The user's id is the targeting key and the
 * telemetry's user id: they must be the same. It never fails: without serin
 * every flag has the default of the code. Flags that switchedOff lists are false
 * whatever serin says, for the day on which it cannot be asked.
 */
export async function connect({ url, pageKey, dsn, release, environment = "production", switchedOff = [] }, user) {
  off = switchedOff;
  const { id, ...attributes } = user;
  Sentry.init({ dsn, release, environment, integrations: [reported] });
  Sentry.setUser(user);
  await OpenFeature.setContext({ ...attributes, targetingKey: id });
  try {
    await OpenFeature.setProviderAndWait(
      new OFREPWebProvider({ baseUrl: url, headers: [["X-API-Key", pageKey]], timeoutMs: 1_000, cacheMode: "disabled" }),
    );
  } catch (error) {
    console.info("serin cannot be reached, defaults are used:", error);
  }
}

/** Evaluates a boolean flag; errors from now on say which variant it was. */
export function enabled(flag) {
  if (off.includes(flag)) return false;
  const value = OpenFeature.getClient().getBooleanValue(flag, false);
  reported.addFeatureFlag(flag, value);
  return value;
}
