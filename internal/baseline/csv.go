package baseline

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// readCSV reads time,metric,value[,count]. The first line must be the header,
// so that a file with other columns is not read as if it had these.
func readCSV(data []byte) (points []Point, skipped int, err error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.ReuseRecord = -1, true, true
	header, err := r.Read()
	if err != nil {
		return nil, 0, csvError(err)
	}
	counted, ok := csvHeader(header)
	if !ok {
		return nil, 0, problem("line 1", "write the columns time,metric,value or time,metric,value,count in the first line, not %q", strings.Join(header, ","))
	}
	var bad Problems
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, csvError(err)
		}
		line, _ := r.FieldPos(0)
		where := fmt.Sprintf("line %d", line)
		if len(record) < 3 || len(record) > len(header) {
			bad.add(where, "%d columns, but the first line has %d", len(record), len(header))
			continue
		}
		p, why := csvPoint(record, counted)
		switch {
		case why != "":
			bad.add(where, "%s", why)
		case math.IsNaN(p.Value):
			skipped++
		default:
			p.Where = where
			points = append(points, p)
		}
		if err := limited(len(points)); err != nil {
			return nil, 0, err
		}
	}
	if bad != nil {
		return nil, 0, bad
	}
	return points, skipped, nil
}

func csvHeader(header []string) (counted, ok bool) {
	want := []string{"time", "metric", "value", "count"}
	if len(header) != 3 && len(header) != 4 {
		return false, false
	}
	for i, name := range header {
		if !strings.EqualFold(strings.TrimSpace(name), want[i]) {
			return false, false
		}
	}
	return len(header) == 4, true
}

// csvError words what encoding/csv found.
func csvError(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		return problem(fmt.Sprintf("line %d", parse.Line), "this is no CSV: %v", parse.Err)
	case errors.Is(err, io.EOF):
		return problem("", "the file is empty")
	}
	return problem("", "%v", err)
}

// csvPoint reads one line; a value that is empty or "NaN" is NaN.
func csvPoint(record []string, counted bool) (p Point, why string) {
	if p.Begin, why = readTime(strings.TrimSpace(record[0])); why != "" {
		return p, why
	}
	if p.Metric = strings.TrimSpace(record[1]); p.Metric == "" {
		return p, "no metric is named"
	}
	text := strings.TrimSpace(record[2])
	if text == "" || strings.EqualFold(text, "nan") {
		p.Value = math.NaN()
		return p, ""
	}
	var err error
	if p.Value, err = strconv.ParseFloat(text, 64); err != nil || math.IsInf(p.Value, 0) {
		return p, fmt.Sprintf("value %q is no number: write it in the metric's base unit (ms, bytes, shares as 0 to 1) without the unit", text)
	}
	if counted && len(record) == 4 && strings.TrimSpace(record[3]) != "" {
		text = strings.TrimSpace(record[3])
		if p.Count, err = strconv.ParseFloat(text, 64); err != nil || math.IsInf(p.Count, 0) || math.IsNaN(p.Count) {
			return p, fmt.Sprintf("count %q is no number", text)
		}
		p.Sized = true
	}
	return p, ""
}

// readTime reads RFC 3339 or Unix seconds. A time without a zone could be any
// of a day's 24 hours.
func readTime(text string) (t time.Time, why string) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t.UTC(), ""
	}
	if s, err := strconv.ParseInt(text, 10, 64); err == nil && s > 0 && s < maxUnix {
		return time.Unix(s, 0).UTC(), ""
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04"} {
		if _, err := time.Parse(layout, text); err == nil {
			return t, fmt.Sprintf("time %q names no zone: write it as 2026-02-02T09:00:00Z", text)
		}
	}
	return t, fmt.Sprintf("time %q is none: write it as 2026-02-02T09:00:00Z or in Unix seconds", text)
}

// maxUnix is the year 10000 in Unix seconds: what is beyond is no time in seconds.
const maxUnix = 253_402_300_800
