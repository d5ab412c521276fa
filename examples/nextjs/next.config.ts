import type { NextConfig } from "next";

const config: NextConfig = {
  reactStrictMode: true,
  // It hooks into node's own modules, so it is loaded by node and not bundled.
  serverExternalPackages: ["@sentry/node"],
};

export default config;
