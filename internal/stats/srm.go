package stats

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// srmConcentration is the Dirichlet prior's weight A, in users.
const srmConcentration = 100

// Limits of the sample on which group sizes are tested: so many users are
// expected, and at SampleStop counting stops.
const (
	SampleExpected = 50_000
	SampleStop     = 100_000
)

// SRM returns ln E against "users fall to the groups by these shares", for
// one allocation interval (arXiv 2011.03567, section 3, a Dirichlet prior
// with mean at the shares). n are exact counts of distinct users, never
// estimates: those alarm falsely. Users in a group without a share give +Inf.
// Panics if the lengths differ.
func SRM(n []int64, share []float64) float64 {
	if len(n) != len(share) {
		panic("stats: SRM: as many counts as shares are needed")
	}
	var total, sum float64
	for g, p := range share {
		k := float64(n[g])
		if k <= 0 {
			continue
		}
		if !(p > 0) {
			return math.Inf(1)
		}
		total += k
		sum += lgammaRise(srmConcentration*p, k) - k*math.Log(p)
	}
	return sum - lgammaRise(srmConcentration, total)
}

// lgammaRise returns ln Gamma(a+k) - ln Gamma(a).
func lgammaRise(a, k float64) float64 {
	high, _ := math.Lgamma(a + k)
	low, _ := math.Lgamma(a)
	return high - low
}

// SRMLimit returns what ln E must reach in allocation interval i = 1, 2, ...
// for an alarm with chance at most alpha over all intervals: ln(i(i+1)/alpha).
func SRMLimit(i int, alpha float64) float64 {
	return math.Log(float64(i) * float64(i+1) / alpha)
}

// SampleHash is the number by which a user is in a flag's sample: the first 8
// bytes, big endian, of SHA-256("srm" 0 flag 0 user). It is independent of
// the hash that assigns arms.
func SampleHash(flag, user string) uint64 {
	sum := sha256.Sum256([]byte("srm\x00" + flag + "\x00" + user))
	return binary.BigEndian.Uint64(sum[:8])
}

// InSample reports whether the top bits of a SampleHash are all 0.
func InSample(hash uint64, bits int) bool {
	return bits <= 0 || (bits >= 64 && hash == 0) || (bits < 64 && hash>>(64-bits) == 0)
}

// SampleBits returns how many bits leave at most SampleExpected of the users
// that are expected. It must be fixed before the interval begins.
func SampleBits(expected float64) int {
	bits := 0
	for expected > SampleExpected && bits < 63 {
		expected /= 2
		bits++
	}
	return bits
}
