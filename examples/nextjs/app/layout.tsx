import type { Metadata } from "next";
import type { ReactNode } from "react";
import { LiveFlags } from "@/components/live-flags";
import { currentUser } from "@/lib/session";
import type { Settings } from "@/lib/settings";
import "./style.css";

export const metadata: Metadata = { title: "Shop admin" };

export default async function Layout({ children }: { children: ReactNode }) {
  // Read when a page is asked for, not when the app is built: one build runs everywhere.
  const settings: Settings = {
    serin: process.env.SERIN_PUBLIC_URL ?? process.env.SERIN_URL ?? "",
    pageKey: process.env.SERIN_PAGE_KEY ?? "",
    dsn: process.env.SERIN_DSN ?? "",
    user: await currentUser(),
  };
  return (
    <html lang="en" data-settings={JSON.stringify(settings)}>
      <head>
        {/* Not in the metadata, which may be streamed after the browser has asked for an icon. */}
        <link rel="icon" href="data:," />
      </head>
      <body>
        <LiveFlags>{children}</LiveFlags>
      </body>
    </html>
  );
}
