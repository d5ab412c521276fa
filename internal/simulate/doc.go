// Package simulate plays a plan many times on made-up traffic, with the real
// judge and the real state machine, and counts what came of it: how often a
// healthy feature is rolled back, by which rule, how often it gets stuck at a
// gate or a person is asked, and when it would be finished; and of a feature
// with a known regression, when and how surely it is caught.
//
// Run is the main function. It is pure: traffic, seed and start are given, and
// every run has its own random numbers (PCG seeded with seed and run), so that
// the same seed gives the same answer in whatever order, and on however many
// cores, the runs are carried out. It starts no goroutine: Options.Each may.
//
// What a run is made of:
//
//   - Users are in the order of their hash; who is new at 10 % is new at 25 %.
//     How many fall into a stage's share is binomial.
//   - Events (errors, their grades, failed requests, feedback) are a Poisson
//     process, each of a random user, with the daily and weekly cycles of
//     Traffic. p1, p2 and the like are marked errors. More than 3,000 a day are
//     drawn by five minutes, and how many users they hit with them.
//   - Latencies are lognormal, loads independent. A quantile over a window is
//     taken from the number of loads below the true quantile (Bahadur, "A note
//     on quantiles in large samples", Annals of Mathematical Statistics 37,
//     1966); comparisons are given exact counts above the control's threshold,
//     in closed blocks.
//   - What has no traffic figure is taken as healthy and constant, and listed
//     in Result.Assumed. Nothing is ever silent, no source fails, no incident
//     is opened.
//   - People approve, confirm and tick lists as soon as they are asked and the
//     plan's calendar lets traffic rise. Whom the machine asks about unknown
//     criteria accepts after judge.overrun. A stage that a criterion keeps for
//     a week longer is stuck; somebody then promotes by override, so that the
//     stages after it are measured too.
//
// Time is jumped over where nothing can change: a rule that acts is judged
// when an event brings its count to its limit, or at the close of a block;
// criteria are judged at checks, at the end of bake and while a stage waits. A
// comparison whose excess is below 1.5 standard deviations cannot be proved,
// and is left out where only a proof would matter. Blocks of comparisons are
// five minutes in the engine; here they grow with the age of their stage.
package simulate
