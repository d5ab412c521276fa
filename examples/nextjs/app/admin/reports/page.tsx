import { people } from "@/lib/people";

export default function ReportsPage() {
  return (
    <>
      <h1>Reports</h1>
      <p>{people.reduce((sum, p) => sum + p.tasks, 0)} open tasks.</p>
    </>
  );
}
