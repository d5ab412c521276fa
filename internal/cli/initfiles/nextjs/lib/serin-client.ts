"use client";
// Flags and errors in the page. It needs NEXT_PUBLIC_SERIN_URL,
// NEXT_PUBLIC_SERIN_KEY (a page's key, no secret) and NEXT_PUBLIC_SERIN_DSN when
// the app is built. With NEXT_PUBLIC_SERIN_OFF set, every flag has its default
// whatever serin says, for the day on which it cannot be asked. Wrap the tree: <Serin user={user}>...</Serin>
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, OpenFeatureProvider } from "@openfeature/react-sdk";
import * as Sentry from "@sentry/browser";
import { createElement, type ReactNode, useEffect } from "react";

/** The id is the flag's targeting key and the telemetry's user id. */
type User = { id: string } & Record<string, string>;

async function connect({ id, ...attributes }: User) {
  Sentry.setUser({ id, ...attributes });
  if (process.env.NEXT_PUBLIC_SERIN_OFF) return;
  await OpenFeature.setContext({ ...attributes, targetingKey: id });
  await OpenFeature.setProviderAndWait(
    new OFREPWebProvider({
      baseUrl: process.env.NEXT_PUBLIC_SERIN_URL ?? "http://127.0.0.1:8750",
      headers: [["X-API-Key", process.env.NEXT_PUBLIC_SERIN_KEY ?? ""]],
      timeoutMs: 1_000,
      cacheMode: "disabled",
    }),
  );
}

/** Connects the page with serin; flags have their defaults until it answers. */
export function Serin({ user, children }: { user: User; children: ReactNode }) {
  const key = JSON.stringify(user);
  useEffect(() => {
    connect(JSON.parse(key) as User).catch((error) => console.info("serin cannot be reached, defaults are used:", error));
  }, [key]);
  return createElement(OpenFeatureProvider, null, children);
}
