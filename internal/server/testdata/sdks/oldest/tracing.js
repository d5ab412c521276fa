import { Integrations } from "@sentry/tracing";

export const tracing = () => new Integrations.BrowserTracing();
