// Package statbench holds the gate of the statistics: Monte Carlo tests that
// carry whole plans through on made-up traffic, judge them with the real judge
// (internal/judge) at the check instants of the plan, and count what came of
// it. It has no code of its own, only tests. `make bench-stats` runs them with
// 2,000 plans a cell; `make test` runs a small part.
//
// What must hold (docs/statistics.md has the measured tables):
//
//   - Gate: a healthy feature is rolled back in at most judge.false_rollback =
//     1 % of plans, plus three standard errors of the run, at constant,
//     daily-cycle and weekend-doubled rates, at 20,000 and 2,000,000 page views
//     a day, with users that err once, in bursts and again and again; and so is
//     harm shown, which only makes a stage wait.
//   - Teeth: thirteen broken variants of the method must fail the same gate, each in
//     the scenario that is made for it, and the right code must pass there.
//   - Delay: the plain test takes at most 1.6 times Wald's bound of events, the
//     shipped default plan at most its stated figure, at shares of 10, 25, 50
//     and 75 %; p75 at most 1.6 times the bound of exceedances.
//   - Size: a better canary is never condemned, an effect of half the limit is
//     rolled back in at most 5 % of plans.
//   - Beside it, on the very same events: the fixed limits of a plan, a judge
//     like Kayenta's (Mann-Whitney), counting of failed checks, and the
//     z-test of every textbook, looked at again and again.
//
// Conventions: page views are a day's; of them 0.05 % err. Time goes in slots of
// five minutes. Every plan has random numbers of its own, PCG seeded with the
// cell's number and the plan's, so a run gives the same counts on any number of
// cores. A judge that has acted is not asked again, while the plan goes on for
// the others. Nothing is written but, with -update, the tables of
// docs/statistics.md.
package statbench
