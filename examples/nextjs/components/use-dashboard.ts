"use client";
import { useBooleanFlagDetails } from "@openfeature/react-sdk";
import { getClient, type FeatureFlagsIntegration } from "@sentry/browser";
import { useLayoutEffect, useState } from "react";
import { showing } from "@/lib/beacon";
import { type Evaluation, FLAG } from "@/lib/settings";

/**
 * Which dashboard the page shows, given what the server evaluated for this
 * navigation and what the page hears since:
 *
 *   - The first render shows what the server rendered, so nothing flickers.
 *   - A raise waits for the next navigation: nobody's page changes under the hand.
 *   - A lowering takes effect at once; while busy (a form is half filled) it
 *     waits until the form is sent or left, and waiting is true.
 *
 * The new dashboard begins only where server and page agree on it, which also
 * holds for a page that the browser's back button takes from its cache.
 */
export function useDashboard(served: Evaluation, busy: boolean) {
  const { value, variant, errorCode, reason } = useBooleanFlagDetails(FLAG, served.value);
  // An answer without a variant is the default given here, unless the flag is switched off.
  const off = reason === "DISABLED";
  const heard = off || (!errorCode && variant !== undefined);
  const lowered = !served.value || off || (heard && !value);
  const old: Evaluation = { value: false, variant: !value && variant ? variant : "" };

  const [shown, setShown] = useState<Evaluation>(served.value && lowered ? old : served);
  if (shown.value && lowered && !busy) setShown(old);

  useLayoutEffect(() => { // before the effects of the dashboards, which send
    // Telemetry says what is on the screen, which is not always what was last evaluated.
    showing(shown);
    getClient()?.getIntegrationByName<FeatureFlagsIntegration>("FeatureFlags")?.addFeatureFlag(FLAG, shown.value);
    return () => showing(null);
  }, [shown]);

  const live = heard ? (off || !value ? "old" : "new") : "unknown";
  return { shown, live, waiting: shown.value && lowered };
}
