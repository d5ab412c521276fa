// Package stats holds the sequential tests, sketches and distinct counts by
// which a canary is compared with its control. Everything is a pure function
// or a plain value: no clock, no randomness, no I/O.
//
// The tests are e-values: under the null hypothesis the expected value of E
// is at most 1, whenever one looks, so that E >= 1/alpha happens at most with
// probability alpha (Ville's inequality). Everything is computed and returned
// as a natural logarithm, ln E, and compared with ln(1/alpha).
//
//   - RatioE compares counts of affected users, or of rare outcomes
//     (ratio.go); Starts repeats it for harm that begins late (starts.go).
//   - OddsE compares common proportions and quantiles on closed five-minute
//     blocks (odds.go).
//   - NormalMixture compares means (normal.go).
//   - SRM finds group sizes that are not what was allocated (srm.go).
//   - Sketch and Set are the histograms and distinct counts these rest on.
//
// The method, with its derivations, its limits and what was measured, is
// described in docs/statistics.md. The main sources: Lindon and Malek,
// "Anytime-valid inference for multinomial count data", arXiv 2011.03567;
// Howard and Ramdas, "Sequential estimation of quantiles", Bernoulli 28(3),
// 2022; Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric,
// nonasymptotic confidence sequences", arXiv 1810.08240.
package stats
