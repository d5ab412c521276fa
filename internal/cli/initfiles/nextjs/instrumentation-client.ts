// Runs in the browser before React does: errors go to serin.
import * as Sentry from "@sentry/browser";

Sentry.init({
  dsn: process.env.NEXT_PUBLIC_SERIN_DSN,
  release: process.env.NEXT_PUBLIC_RELEASE,
  environment: "production",
  integrations: [Sentry.featureFlagsIntegration()],
});
