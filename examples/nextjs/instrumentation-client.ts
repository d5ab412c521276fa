// Runs in the browser before React does.
import * as Sentry from "@sentry/browser";
import { onCLS, onFCP, onINP, onLCP, onTTFB, type Metric } from "web-vitals";
import { send } from "./lib/beacon";
import { ENVIRONMENT, RELEASE, settings } from "./lib/settings";

const { dsn, user } = settings();

// Sentry tells errors only: page loads and their vitals go by beacon, and sent
// by both they would count twice.
Sentry.init({
  dsn: dsn || undefined,
  release: RELEASE,
  environment: ENVIRONMENT,
  integrations: [Sentry.featureFlagsIntegration()],
});
if (user) Sentry.setUser({ id: user.id, role: user.role });

const vital = ({ name, value, id, rating, navigationType }: Metric) => send({ metrics: [{ name, value, id, rating, navigationType }] });
for (const on of [onCLS, onFCP, onINP, onLCP, onTTFB]) on(vital);
