// An ordinary page with Sentry's SDK: a user sees a checkout, presses a button
// whose error is handled and one whose error is not, and may complain where
// the SDK can. Query: dsn, user, variant (new or old), handled by the button.
import * as Sentry from "@sentry/browser";
import { tracing } from "tracing-of-this-sdk";

const query = new URLSearchParams(location.search);
const isNew = query.get("variant") === "new";
const flags = Sentry.featureFlagsIntegration?.();
Sentry.init({
  dsn: query.get("dsn"),
  release: "shop@1.0.0",
  environment: "production",
  tracesSampleRate: 1,
  normalizeDepth: 5, // the default of old releases, 3, cuts the flags out of their context
  integrations: [tracing(), flags].filter(Boolean),
});
Sentry.setUser({ id: query.get("user") }); // as most pages do: after the session began
if (flags) flags.addFeatureFlag("newCheckout", isNew);
else Sentry.configureScope((scope) => scope.setContext("flags", { values: [{ flag: "newCheckout", result: isNew }] }));

document.getElementById("cart").addEventListener("click", () => {
  Sentry.captureException(new RangeError("cart is slow"));
});
document.getElementById("pay").addEventListener("click", () => {
  // A promise that nobody waits for: of errors in timers and listeners, SDK 7
  // says that they are handled.
  if (isNew) Promise.reject(new TypeError("cart is broken"));
});
document.getElementById("complain").addEventListener("click", () => {
  Sentry.captureFeedback?.({ message: "where is my cart?" });
});
window.flushed = () => Sentry.flush(5000);
document.body.dataset.ready = "yes";
