// Package backtest runs a plan over the recorded evidence of a rollout and says
// what it would have decided, when. It is pure: the judge and the state machine
// are those that run rollouts, the evidence is told minute by minute by a
// Recorded, and at each instant knows only what had been counted by then.
//
// What it can say is bounded by what happened, and a Result says so:
//
//   - Users had the variants that they had. A plan that would have raised earlier
//     or later is judged on the shares of the real ramp; the tests stay valid,
//     because they are told the real shares, but there is more or less to see
//     than there would have been.
//   - Once the plan takes traffic back, nothing that was recorded afterwards is
//     what would have happened: there it ends.
//   - What was not recorded, or in another way, is unknown and never guessed: a
//     gate on it waits, a rule that acts does nothing, and both are listed.
//   - Looking back at many plans and keeping the best is choosing by the past: the
//     bound on false rollbacks is that of one plan which was chosen before.
//
// People are assumed: approvals, confirmations and answers to what is unknown are
// given at once, some time after they are asked for, or never.
package backtest
