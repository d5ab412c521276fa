package stats

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"
)

// number reads the vectors' decimal strings.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	text := string(b)
	if u, err := strconv.Unquote(text); err == nil {
		text = u
	}
	f, err := strconv.ParseFloat(text, 64)
	*n = number(f)
	return err
}

// near fails unless got agrees with want to 1e-9, relative above 1.
func near(t *testing.T, what string, got float64, want number) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-float64(want)) > 1e-9*max(1, math.Abs(float64(want))) {
		t.Errorf("%s: got %.15g want %.15g", what, got, float64(want))
	}
}

func strata(rows [][4]number) (out []Stratum) {
	for _, r := range rows {
		out = append(out, Stratum{New: int64(r[0]), Old: int64(r[1]), Odds: float64(r[2] / r[3])})
	}
	return out
}

func blocks(rows [][4]int64, psi0 number) (out []Block) {
	for _, r := range rows {
		out = append(out, Block{BadNew: r[0], New: r[1], BadOld: r[2], Old: r[3], Psi0: float64(psi0)})
	}
	return out
}

// attempt builds Starts from [stage, last, T, C] with one interval a stage.
func attempt(odds [][2]number, cells [][4]int64, planned int) Starts {
	s := Starts{Planned: planned}
	last := int64(-1)
	for _, c := range cells {
		s.Cells = append(s.Cells, UserCell{Interval: int(c[0]), Last: int(c[1]), New: c[2], Old: c[3]})
		last = max(last, c[0])
	}
	for i := 0; i <= int(last); i++ {
		s.Odds = append(s.Odds, float64(odds[i][0]/odds[i][1]))
		s.Stage = append(s.Stage, i)
	}
	return s
}

// each decodes the cases of a section and runs f on them.
func each[T any](t *testing.T, raw json.RawMessage, f func(t *testing.T, v T)) {
	t.Helper()
	var cases []json.RawMessage
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("empty section")
	}
	for i, c := range cases {
		var v T
		var named struct{ Name string }
		if err := json.Unmarshal(c, &v); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(c, &named); err != nil {
			t.Fatal(err)
		}
		t.Run(strconv.Itoa(i)+" "+named.Name, func(t *testing.T) { f(t, v) })
	}
}

var sections = map[string]func(*testing.T, json.RawMessage){
	"ratioE": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Strata [][4]number `json:"strata_T_C_eT_eC"`
			Theta0 number
			LogE   number
		}
		each(t, raw, func(t *testing.T, v vector) {
			near(t, "ln E", RatioE(strata(v.Strata), float64(v.Theta0)), v.LogE)
		})
	},
	"safe": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Strata [][4]number `json:"strata_T_C_eT_eC"`
			Margin number
			LogE   number
		}
		each(t, raw, func(t *testing.T, v vector) {
			near(t, "ln E", RatioSafe(strata(v.Strata), float64(v.Margin)-1), v.LogE)
		})
	},
	"oddsE": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Blocks [][4]int64 `json:"blocks_a_nT_c_nC"`
			Psi0   number
			LogE   number
		}
		each(t, raw, func(t *testing.T, v vector) {
			near(t, "ln E", OddsE(blocks(v.Blocks, v.Psi0), 1), v.LogE)
		})
	},
	"deflated": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Kind string
			Data json.RawMessage
			Phi  number
			LogE number
		}
		each(t, raw, func(t *testing.T, v vector) {
			var rows [][4]int64
			if err := json.Unmarshal(v.Data, &rows); err != nil {
				t.Fatal(err)
			}
			switch v.Kind {
			case "ratio":
				var s []Stratum
				for _, r := range rows {
					s = append(s, Stratum{New: r[0], Old: r[1], Odds: float64(r[2]) / float64(r[3])})
				}
				near(t, "ln E", RatioEDeflated(s, 1, float64(v.Phi)), v.LogE)
			case "odds":
				near(t, "ln E", OddsE(blocks(rows, 1), float64(v.Phi)), v.LogE)
			default:
				t.Fatalf("unknown kind %q", v.Kind)
			}
		})
	},
	"safe_odds": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Blocks [][4]int64 `json:"blocks_a_nT_c_nC"`
			Margin number
			LogE   number
		}
		each(t, raw, func(t *testing.T, v vector) {
			near(t, "ln E", OddsSafe(blocks(v.Blocks, 0), float64(v.Margin)-1, 1), v.LogE)
		})
	},
	"safe_events": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Canary  [][2]int64 `json:"canary_events_users"`
			Control [][2]int64 `json:"control_events_users"`
			Odds    [2]number
			Margin  number
			Phi     number
			LogE    number
		}
		each(t, raw, func(t *testing.T, v vector) {
			var squares, sum float64
			count := func(rows [][2]int64) (n int64) {
				for _, r := range rows {
					n += r[0] * r[1]
					sum += float64(r[0] * r[1])
					squares += float64(r[0] * r[0] * r[1])
				}
				return n
			}
			s := []Stratum{{New: count(v.Canary), Old: count(v.Control), Odds: float64(v.Odds[0] / v.Odds[1])}}
			phi := EventsPhi(squares, sum)
			near(t, "phi", phi, v.Phi)
			near(t, "ln E", RatioSafeDeflated(s, float64(v.Margin)-1, phi), v.LogE)
		})
	},
	"restart": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Odds     [][2]number `json:"odds_per_stage"`
			Cells    [][4]int64  `json:"cells_k_l_T_C"`
			Planned  int         `json:"stages_in_plan"`
			PerStart []number    `json:"logE_per_start"`
			LogE     number
		}
		each(t, raw, func(t *testing.T, v vector) {
			best := attempt(v.Odds, v.Cells, v.Planned).Ratio(1)
			near(t, "ln E", best.LogE, v.LogE)
			if len(best.PerStart) != len(v.PerStart) {
				t.Fatalf("got %d starts want %d", len(best.PerStart), len(v.PerStart))
			}
			for i, want := range v.PerStart {
				near(t, "ln E of a start", best.PerStart[i], want)
			}
		})
	},
	"guard": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Odds      [][2]number `json:"odds_per_stage"`
			Cells     [][4]int64  `json:"cells_k_l_T_C"`
			Planned   int         `json:"stages_in_plan"`
			X, Margin number
			Level     number
			Window    [2]int64 `json:"window_T_C"`
			LnGuard   number   `json:"ln_guard"`
			LnHalf    number   `json:"ln_half"`
			Start     int      `json:"start_of_estimate"`
			Estimate  number
			Harm      bool `json:"harm_shown"`
			Met       bool
		}
		each(t, raw, func(t *testing.T, v vector) {
			a := attempt(v.Odds, v.Cells, v.Planned)
			window := []Stratum{{New: v.Window[0], Old: v.Window[1], Odds: a.Odds[len(a.Odds)-1]}}
			g := guardOf(a, float64(v.X), float64(v.Margin), float64(v.Level), window)
			near(t, "ln guard", g.Null.LogE, v.LnGuard)
			near(t, "ln half", g.Half.LogE, v.LnHalf)
			near(t, "estimate", g.SinceStart, v.Estimate)
			if g.Half.Start != v.Start || g.HarmShown() != v.Harm || g.Met() != v.Met {
				t.Errorf("got start %d harm %v met %v, want %d %v %v",
					g.Half.Start, g.HarmShown(), g.Met(), v.Start, v.Harm, v.Met)
			}
		})
	},
	"bonferroni": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			LogE, Weights []number
			Alpha         number
			Limits        []number
			Alarms        []bool
			Sum           number `json:"log_weighted_sum"`
		}
		each(t, raw, func(t *testing.T, v vector) {
			var e, w []float64
			for i := range v.LogE {
				e, w = append(e, float64(v.LogE[i])), append(w, float64(v.Weights[i]))
				limit := LogLimit(float64(v.Alpha), w[i])
				near(t, "limit", limit, v.Limits[i])
				if (e[i] >= limit) != v.Alarms[i] {
					t.Errorf("alarm %d: want %v", i, v.Alarms[i])
				}
			}
			var mixture grid
			for _, weight := range w {
				mixture.add(0, weight)
			}
			near(t, "sum", mixture.mix(e, 1), v.Sum)
		})
	},
	"srm": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Strata []struct {
				N     []int64
				Share []number
			}
			Concentration number
			LogE          []number `json:"logE_per_stratum"`
		}
		each(t, raw, func(t *testing.T, v vector) {
			near(t, "concentration", srmConcentration, v.Concentration)
			for i, s := range v.Strata {
				var share []float64
				for _, p := range s.Share {
					share = append(share, float64(p))
				}
				near(t, "ln E", SRM(s.N, share), v.LogE[i])
			}
		})
	},
	"srm_limit": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Interval     int
			Alpha, Limit number
		}
		each(t, raw, func(t *testing.T, v vector) {
			near(t, "limit", SRMLimit(v.Interval, float64(v.Alpha)), v.Limit)
		})
	},
	"srm_sample": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Flag, User string
			Hash       string `json:"hash_hex"`
			Zeros      int    `json:"leading_zero_bits"`
			In         []bool `json:"in_sample"`
		}
		each(t, raw, func(t *testing.T, v vector) {
			h := SampleHash(v.Flag, v.User)
			want, err := strconv.ParseUint(v.Hash, 16, 64)
			if err != nil || h != want {
				t.Errorf("hash %x want %s (%v)", h, v.Hash, err)
			}
			for bits, want := range v.In {
				if InSample(h, bits) != want {
					t.Errorf("%d bits: want %v", bits, want)
				}
			}
			if !InSample(h, v.Zeros) || InSample(h, v.Zeros+1) {
				t.Errorf("want exactly %d leading zero bits", v.Zeros)
			}
		})
	},
	"normal_mixture": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			S, V   number
			VOpt   number `json:"v_opt"`
			Alpha  number
			RhoTwo number `json:"rho_two_sided"`
			RhoOne number `json:"rho_one_sided"`
			Two    number `json:"log_two_sided"`
			One    number `json:"log_one_sided"`
		}
		each(t, raw, func(t *testing.T, v vector) {
			s, info := float64(v.S), float64(v.V)
			two, one := normalRho(float64(v.VOpt), float64(v.Alpha)), NormalRho(float64(v.VOpt), float64(v.Alpha))
			near(t, "rho two", two, v.RhoTwo)
			near(t, "rho one", one, v.RhoOne)
			near(t, "two", normalTwoSided(s, info, two), v.Two)
			near(t, "one", NormalMixture(s, info, one), v.One)
		})
	},
	"fisher_noncentral": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			NT, NC, M int64
			Psi, Mean number
			Growth    number `json:"log_mgf_vs_central"`
		}
		each(t, raw, func(t *testing.T, v vector) {
			psi := math.Log(float64(v.Psi))
			near(t, "mean", newFisher(v.NT, v.NC, v.M, psi).mean(), v.Mean)
			near(t, "growth", newFisher(v.NT, v.NC, v.M, 0).growth([]float64{psi})[0], v.Growth)
		})
	},
	"wald_bound": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Share, Theta, Pi1 number
			KL                number `json:"kl_nat_per_event"`
			Events            number `json:"events_alpha_0_01"`
			Canary            number `json:"canary_events_alpha_0_01"`
			Strict            number `json:"events_alpha_0_001"`
		}
		each(t, raw, func(t *testing.T, v vector) {
			share, theta := float64(v.Share), float64(v.Theta)
			near(t, "pi1", NewShare(share, theta), v.Pi1)
			near(t, "KL", KL(NewShare(share, theta), share), v.KL)
			near(t, "events", waldBound(share, theta, 1, 0.01), v.Events)
			near(t, "canary", waldBound(share, theta, 1, 0.01)*NewShare(share, theta), v.Canary)
			near(t, "strict", waldBound(share, theta, 1, 0.001), v.Strict)
		})
	},
	"safe_bound": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Share, Margin number
			KL            number `json:"kl_nat_per_event"`
			Events        number `json:"events_alpha_0_05"`
		}
		each(t, raw, func(t *testing.T, v vector) {
			share, m := float64(v.Share), float64(v.Margin)
			near(t, "KL", KL(share, NewShare(share, 1+m)), v.KL)
			near(t, "events", SafeBound(share, m, 0.05), v.Events)
		})
	},
	"shipped_bound": func(t *testing.T, raw json.RawMessage) {
		type vector struct{ Share, Theta, Theta0, Level, Events number }
		each(t, raw, func(t *testing.T, v vector) {
			near(t, "events", waldBound(float64(v.Share), float64(v.Theta), float64(v.Theta0), float64(v.Level)), v.Events)
		})
	},
	"min_run_shipped": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Share, Theta0, Level number
			V0                   number `json:"first_start_weight"`
			Run                  int    `json:"consecutive_canary_only_events"`
		}
		each(t, raw, func(t *testing.T, v vector) {
			if got := minRun(float64(v.Share), float64(v.Theta0), float64(v.Level), float64(v.V0)); got != v.Run {
				t.Errorf("got %d want %d", got, v.Run)
			}
		})
	},
	"min_run": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Share, Alpha number
			Run          int `json:"consecutive_canary_only_events"`
		}
		each(t, raw, func(t *testing.T, v vector) {
			if got := minRun(float64(v.Share), 1, float64(v.Alpha), 1); got != v.Run {
				t.Errorf("got %d want %d", got, v.Run)
			}
		})
	},
	"ratio_cs": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Strata       [][4]number `json:"strata_T_C_eT_eC"`
			Alpha        number
			Mix          number `json:"log_mixture_two_sided"`
			Theta        number `json:"theta_hat"`
			Lower, Upper number
		}
		each(t, raw, func(t *testing.T, v vector) {
			s := strata(v.Strata)
			near(t, "mixture", ratioLog(s, 1, 1, csGrid, false), v.Mix)
			got, ok := RatioInterval(s, float64(v.Alpha))
			if !ok {
				t.Fatal("no interval")
			}
			near(t, "theta", got.Theta, v.Theta)
			near(t, "low", got.Low, v.Lower)
			near(t, "high", got.High, v.Upper)
		})
	},
	"sketch_index": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Value, Index number
			Upper        number `json:"upper_edge"`
			Lower        number `json:"lower_edge"`
		}
		each(t, raw, func(t *testing.T, v vector) {
			i := Bucket(float64(v.Value))
			if i != int(v.Index) {
				t.Errorf("got bucket %d want %d", i, int(v.Index))
			}
			near(t, "upper", Edge(i), v.Upper)
			near(t, "lower", Edge(i-1), v.Lower)
		})
	},
	"sketch_shift": func(t *testing.T, raw json.RawMessage) {
		type vector struct {
			Margin    number
			Buckets   int
			Effective number `json:"effective_margin"`
		}
		each(t, raw, func(t *testing.T, v vector) {
			s := Shift(float64(v.Margin))
			if s != v.Buckets {
				t.Errorf("got %d want %d", s, v.Buckets)
			}
			near(t, "margin", Edge(s)-1, v.Effective)
		})
	},
}

// TestVectors compares every function with values that were computed at 50
// digits by an independent program. A section without a test fails.
func TestVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	delete(file, "about")
	for name := range sections {
		if _, ok := file[name]; !ok {
			t.Errorf("section %q is missing from the vectors", name)
		}
	}
	for name, raw := range file {
		run, ok := sections[name]
		if !ok {
			t.Errorf("section %q has no test", name)
			continue
		}
		t.Run(name, func(t *testing.T) { run(t, raw) })
	}
}
