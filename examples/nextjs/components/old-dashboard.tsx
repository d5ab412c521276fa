import type { Person } from "@/lib/people";

export function OldDashboard({ people }: { people: Person[] }) {
  return (
    <div id="old">
      <h2>ExecutiveDashboard</h2>
      <table>
        <thead><tr><th>User</th><th>Role</th><th>Last seen</th></tr></thead>
        <tbody>{people.map((p) => <tr key={p.name}><td>{p.name}</td><td>{p.role}</td><td>{p.seen}</td></tr>)}</tbody>
      </table>
    </div>
  );
}
