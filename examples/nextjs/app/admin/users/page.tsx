import { redirect } from "next/navigation";
import { Dashboard } from "@/components/dashboard";
import { evaluate } from "@/lib/flags";
import { people } from "@/lib/people";
import { currentUser } from "@/lib/session";

// Rendered on the server at every navigation: here a raise takes effect.
export default async function UsersPage() {
  const user = await currentUser();
  if (!user) redirect("/");
  return (
    <>
      <h1>Users</h1>
      <p>
        Signed in as <b>{user.id}</b>, role {user.role}
      </p>
      <Dashboard served={await evaluate(user)} people={people} />
    </>
  );
}
