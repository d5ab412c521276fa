"use client";
import { captureException } from "@sentry/browser";
import { Component, type ReactNode } from "react";
import { variantOf } from "@/lib/beacon";
import { type Evaluation, FEATURE, FLAG } from "@/lib/settings";

type Props = { shown: Evaluation; fallback: ReactNode; children: ReactNode };

/** Catches what the new dashboard throws, tells serin on which variant, and shows the old one. */
export class Boundary extends Component<Props, { failed: boolean }> {
  state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  componentDidCatch(error: Error) {
    captureException(error, { tags: { feature: FEATURE, [`flag.${FLAG}`]: variantOf(this.props.shown) } });
  }

  render() {
    return this.state.failed ? this.props.fallback : this.props.children;
  }
}
