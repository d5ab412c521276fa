package flag

import (
	"fmt"
	"strconv"
	"strings"
)

// ParsePercent reads "10%", "12.5%" or "0.125%": 0 to 100, at most three
// decimals.
func ParsePercent(text string) (Percent, error) {
	digits, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	whole, decimals, hasDecimals := strings.Cut(strings.TrimSpace(digits), ".")
	if !ok || !numeric(whole) || hasDecimals && !numeric(decimals) {
		return 0, fmt.Errorf("percentage %q: expected a number and a percent sign, such as 12.5%%", text)
	}
	if len(decimals) > 3 {
		return 0, fmt.Errorf("percentage %q: at most three decimals, such as 0.125%%", text)
	}
	n, err := strconv.ParseUint(whole+(decimals + "000")[:3], 10, 32)
	if err != nil || n > uint64(Everyone) {
		return 0, fmt.Errorf("percentage %q: expected 0%% to 100%%", text)
	}
	return Percent(n), nil
}

// String writes the shortest form: "10%", "12.5%", "0.125%".
func (p Percent) String() string {
	return strconv.FormatFloat(float64(p)/1000, 'f', -1, 64) + "%"
}
