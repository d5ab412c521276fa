export { browserTracingIntegration as tracing } from "@sentry/browser";
