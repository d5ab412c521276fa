// An ordinary page that measures itself with web-vitals and sends each metric,
// as the library gives it, in a beacon. Query: serin, project, key, user, variant.
import { onCLS, onFCP, onINP, onLCP, onTTFB } from "web-vitals";

const query = new URLSearchParams(location.search);
const to = new URL(`/api/${query.get("project")}/beacon/`, query.get("serin"));
to.search = new URLSearchParams({
  sentry_key: query.get("key"),
  user: query.get("user"),
  page: location.pathname,
  release: "shop@1.0.0",
  environment: "production",
  "flag.newCheckout": query.get("variant"),
});
const send = (metric) => navigator.sendBeacon(to, JSON.stringify(metric));
onCLS(send);
onFCP(send);
onINP(send);
onLCP(send);
onTTFB(send);
document.body.dataset.ready = "yes";
