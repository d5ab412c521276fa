"use client";
import { useEffect, useState } from "react";
import { send } from "@/lib/beacon";
import type { Person } from "@/lib/people";
import { FEATURE } from "@/lib/settings";

/** The tasks of one person; a row without tasks breaks it, to show what becomes of an error. */
function Workload({ person }: { person?: Person }) {
  return <strong>{person!.tasks}</strong>;
}

export function NewDashboard({ people }: { people: Person[] }) {
  const [failing, setFailing] = useState(false);
  useEffect(() => {
    send({ actions: [{ feature: FEATURE, action: "open" }] }); // adoption counts users, so twice is once
  }, []);
  return (
    <div id="new">
      <h2>AdminWorkBench</h2>
      <div className="tiles">
        {people.map((p) => <div className="tile" key={p.name}><Workload person={p} />{p.name}, {p.role}</div>)}
      </div>
      <p>
        <button id="break" onClick={() => setFailing(true)}>Break this dashboard</button>
        {failing && <Workload />}
      </p>
    </div>
  );
}
