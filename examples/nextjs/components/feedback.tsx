"use client";
import { type FormEvent, useEffect, useState } from "react";
import { send } from "@/lib/beacon";

type Props = { onBusy: (busy: boolean) => void; onSent: () => void };

/** A score and a note. It tells while it is half filled, so that nothing takes it away meanwhile. */
export function Feedback({ onBusy, onSent }: Props) {
  const [score, setScore] = useState("");
  const [kind, setKind] = useState("other");
  const [note, setNote] = useState("");
  const busy = score !== "" || note !== "";

  useEffect(() => onBusy(busy), [busy, onBusy]);
  useEffect(() => () => onBusy(false), [onBusy]); // left by an error of the dashboard

  const clear = () => {
    setScore("");
    setNote("");
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    send({
      surveys: score ? [{ question: "csat", score: Number(score), max: 5 }] : [],
      feedback: note ? [{ kind, message: note }] : [],
    });
    clear();
    onSent();
  };
  return (
    <form id="feedback" onSubmit={submit}>
      <h3>How do you like the new dashboard?</h3>
      <label>
        Score{" "}
        <select name="score" value={score} onChange={(e) => setScore(e.target.value)}>
          <option value="">no answer</option>
          {[1, 2, 3, 4, 5].map((n) => <option key={n}>{n}</option>)}
        </select>
      </label>
      <label>
        This is{" "}
        <select name="kind" value={kind} onChange={(e) => setKind(e.target.value)}>
          <option value="praise">praise</option>
          <option value="complaint">a complaint</option>
          <option value="revert_request">a wish for the old dashboard</option>
          <option value="other">something else</option>
        </select>
      </label>
      <textarea name="note" aria-label="Note" value={note} onChange={(e) => setNote(e.target.value)} />
      <button disabled={!busy}>Send</button>
      <button type="button" id="discard" disabled={!busy} onClick={clear}>Discard</button>
    </form>
  );
}
