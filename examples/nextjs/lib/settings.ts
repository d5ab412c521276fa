// What server and page both know. It holds no secret: a page gets all of it.

/** The flag of the rollout, and the feature that its telemetry is tagged with. */
export const FLAG = "adminWorkBench";
export const FEATURE = "admin-workbench";

export const RELEASE = "nextjs-example@1.0.0";
export const ENVIRONMENT = "production";

/** Who is signed in. The id is the flag's targeting key and the telemetry's user id. */
export type User = { id: string; role: string };

/** One evaluation of FLAG. */
export type Evaluation = { value: boolean; variant: string };

/** What the layout writes on the html element, where scripts find it before anything is rendered. */
export type Settings = {
  serin: string; // base URL, as the page reaches it
  pageKey: string; // publishable key of kind "flags"
  dsn: string; // Sentry DSN of the project; "" sends nothing
  user: User | null;
};

/** The settings of this page; for code that runs in the browser. */
export function settings(): Settings {
  return JSON.parse(document.documentElement.dataset.settings ?? "") as Settings;
}
