import { COOKIE } from "@/lib/session";

export async function POST(request: Request) {
  const form = await request.formData();
  const user = String(form.get("user") ?? "").replace(/[^\w.-]/g, "");
  const role = form.get("role") === "admin" ? "admin" : "buyer";
  return new Response(null, {
    status: 303,
    headers: { Location: "/admin/users", "Set-Cookie": `${COOKIE}=${user}|${role}; Path=/; HttpOnly; SameSite=Lax` },
  });
}
