"use client";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, OpenFeatureProvider } from "@openfeature/react-sdk";
import { type ReactNode, useEffect } from "react";
import { settings, type Settings } from "@/lib/settings";

/** The first wait before the page asks again that could not reach serin, and the longest, in milliseconds. */
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 60_000;

/** Connects to serin, again and again until it succeeds; the provider then follows the stream by itself. */
async function connect({ serin, pageKey, user }: Settings, gone: AbortSignal) {
  if (!serin || !user) return;
  await OpenFeature.setContext({ targetingKey: user.id, role: user.role });
  for (let wait = FIRST_WAIT; !gone.aborted; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    const provider = new OFREPWebProvider({
      baseUrl: serin,
      headers: [["X-API-Key", pageKey]],
      timeoutMs: 1_000,
      cacheMode: "disabled", // the server's evaluation is the first paint, not that of the last visit
    });
    try {
      await OpenFeature.setProviderAndWait(provider);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

/**
 * Keeps the page in touch with serin. OpenFeature's client is one for the whole
 * process, so nothing of a user is put into it while the server renders: there
 * its evaluations give their default, which is what the server evaluated.
 */
export function LiveFlags({ children }: { children: ReactNode }) {
  useEffect(() => {
    const gone = new AbortController();
    void connect(settings(), gone.signal);
    return () => gone.abort();
  }, []);
  return <OpenFeatureProvider>{children}</OpenFeatureProvider>;
}
