import Link from "next/link";
import type { ReactNode } from "react";

export default function AdminLayout({ children }: { children: ReactNode }) {
  return (
    <>
      <nav>
        <b>Shop admin</b>
        {/* Not prefetched: an answer fetched ahead would be an old evaluation. */}
        <Link href="/admin/users" prefetch={false}>Users</Link>
        <Link href="/admin/reports" prefetch={false}>Reports</Link>
      </nav>
      <main>{children}</main>
    </>
  );
}
