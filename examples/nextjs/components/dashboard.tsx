"use client";
import { useState } from "react";
import type { Person } from "@/lib/people";
import type { Evaluation } from "@/lib/settings";
import { Boundary } from "./boundary";
import { Feedback } from "./feedback";
import { NewDashboard } from "./new-dashboard";
import { OldDashboard } from "./old-dashboard";
import { useDashboard } from "./use-dashboard";

/** The old dashboard or the new one, in place. */
export function Dashboard({ served, people }: { served: Evaluation; people: Person[] }) {
  const [busy, setBusy] = useState(false);
  const [thanks, setThanks] = useState(false);
  const { shown, live, waiting } = useDashboard(served, busy);
  return (
    <section data-shown={shown.value ? "new" : "old"} data-live={live}>
      {thanks && <p role="status">Thank you, your note was sent.</p>}
      {waiting && (
        <p role="status" className="notice">
          This page goes back to the previous dashboard as soon as you send or discard your note. Nothing that you typed is lost.
        </p>
      )}
      {shown.value ? (
        <Boundary shown={shown} fallback={<OldDashboard people={people} />}>
          <NewDashboard people={people} />
          <Feedback onBusy={setBusy} onSent={() => setThanks(true)} />
        </Boundary>
      ) : (
        <OldDashboard people={people} />
      )}
    </section>
  );
}
