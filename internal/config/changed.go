package config

import (
	"reflect"
	"slices"
)

// Changed lists the keys whose values differ between two configurations, in
// order; of a mapping of plain values the mapping's own key.
func Changed(a, b Config) []string {
	before, after := a.values(), b.values()
	var out []string
	for key := range before {
		if !reflect.DeepEqual(before[key], after[key]) {
			out = append(out, key)
		}
	}
	for key := range after {
		if _, known := before[key]; !known {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// values are the keys that are set with their values. It reads c only, which
// others may do at the same time.
func (c Config) values() map[string]any {
	out := map[string]any{}
	collect("", reflect.ValueOf(c), out)
	return out
}

// collect puts what a block sets under keys that begin with at.
func collect(at string, v reflect.Value, out map[string]any) {
	for i := range v.NumField() {
		field, key := v.Field(i), at+v.Type().Field(i).Tag.Get("yaml")
		switch {
		case field.Kind() == reflect.Struct:
			collect(key+".", field, out)
		case field.Kind() == reflect.Map && field.Type().Elem().Kind() == reflect.Struct:
			for _, name := range field.MapKeys() {
				collect(key+"."+name.String()+".", field.MapIndex(name), out)
			}
		case (field.Kind() == reflect.Map || field.Kind() == reflect.Slice) && field.Len() == 0, field.IsZero():
		default:
			out[key] = field.Interface()
		}
	}
}
