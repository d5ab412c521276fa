import { cookies } from "next/headers";
import type { User } from "./settings";

export const COOKIE = "demo_user";

/**
 * The signed-in user, or null. The cookie is not signed: it stands in for your
 * own session, which must hold the role where the browser cannot change it.
 */
export async function currentUser(): Promise<User | null> {
  const [id, role] = ((await cookies()).get(COOKIE)?.value ?? "").split("|");
  return id && role ? { id, role } : null;
}
