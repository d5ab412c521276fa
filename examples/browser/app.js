// A static page whose checkout is behind a flag: OpenFeature's web SDK with the
// OFREP provider, and Sentry's browser SDK for the errors. See
// docs/guide/browser.md.
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";
import * as Sentry from "@sentry/browser";

const FLAG = "newCheckout";
const { serin, pageKey, dsn } = await (await fetch("settings.json")).json();

// The targeting key and the telemetry's user id are the same value. A real shop
// takes it from the session; the query stands in for that.
const user = { id: new URLSearchParams(location.search).get("user") ?? "anonymous", role: "admin" };

// Errors go to serin by the DSN; an empty one sends nothing.
const reported = Sentry.featureFlagsIntegration();
Sentry.init({ dsn: dsn || undefined, release: "browser-example@1.0.0", environment: "production", integrations: [reported] });
Sentry.setUser(user);

/** Shows the old or the new checkout, and lets every error say which it was. */
function show(renewed) {
  document.getElementById("old").hidden = renewed;
  document.getElementById("new").hidden = !renewed;
  document.body.dataset.checkout = renewed ? "new" : "old";
  reported.addFeatureFlag(FLAG, renewed);
}

// The old checkout is in the document and stays until serin has answered; it
// stays for good where serin cannot be reached.
show(false);
const flags = OpenFeature.getClient();
const follow = () => show(flags.getBooleanValue(FLAG, false));
flags.addHandler(ProviderEvents.Ready, follow);
flags.addHandler(ProviderEvents.ConfigurationChanged, follow); // the provider listens to serin's stream

await OpenFeature.setContext({ targetingKey: user.id, role: user.role });
try {
  await OpenFeature.setProviderAndWait(
    new OFREPWebProvider({ baseUrl: serin, headers: [["X-API-Key", pageKey]], timeoutMs: 1_000, cacheMode: "disabled" }),
  );
} catch (error) {
  console.info("serin cannot be reached, the old checkout stays:", error);
}

// The new checkout has a fault, so that there is something for serin to notice.
document.getElementById("pay").addEventListener("click", () => {
  throw new TypeError("new checkout: cart is undefined");
});
