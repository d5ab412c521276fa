// An ordinary page with the unmodified SDKs: OpenFeature's web SDK with the
// OFREP provider for flags, Sentry's browser SDK for errors.
import { OpenFeature } from "@openfeature/web-sdk";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import * as Sentry from "@sentry/browser";

const query = new URLSearchParams(location.search);
const user = query.get("user");

const featureFlags = Sentry.featureFlagsIntegration();
Sentry.init({
  dsn: query.get("dsn"),
  release: "browser-test@1.0.0",
  environment: "production",
  tracesSampleRate: 1,
  integrations: [featureFlags, Sentry.browserTracingIntegration(), Sentry.openFeatureIntegration?.()].filter(Boolean),
});
Sentry.setUser({ id: user, role: "admin" });

const status = document.getElementById("status");
try {
  await OpenFeature.setContext({ targetingKey: user, role: "admin" });
  await OpenFeature.setProviderAndWait(
    new OFREPWebProvider({
      baseUrl: query.get("serin"),
      headers: [["X-API-Key", query.get("key")]],
    }),
  );
  const client = OpenFeature.getClient();
  const show = () => {
    const details = client.getBooleanDetails("newCheckout", false);
    featureFlags.addFeatureFlag("newCheckout", details.value);
    status.textContent = details.value ? "new" : "old";
    status.dataset.reason = details.reason;
  };
  client.addHandler("PROVIDER_CONFIGURATION_CHANGED", show);
  client.addHandler("PROVIDER_READY", show);
  show();
} catch (error) {
  status.textContent = "failed: " + error;
}

document.getElementById("crash").addEventListener("click", () => {
  setTimeout(() => {
    throw new TypeError("checkout button for " + status.textContent);
  });
});
window.flushed = () => Sentry.flush(5000);
