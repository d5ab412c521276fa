// A page whose SDK sends to both, by the example of docs/guide/keep-sentry.md
// for browsers. Query: sentry and serin, the two DSNs.
import * as Sentry from "@sentry/browser";

const query = new URLSearchParams(location.search);
Sentry.init({
  dsn: query.get("sentry"),
  transport: Sentry.makeMultiplexedTransport(Sentry.makeFetchTransport, () => [query.get("sentry"), query.get("dsn")]),
});
Sentry.captureException(new Error("cart is broken"));
window.flushed = () => Sentry.flush(5000);
document.body.dataset.ready = "yes";
