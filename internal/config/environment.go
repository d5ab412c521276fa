package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// prefix begins the name of every variable.
const prefix = "SERIN_"

// fileSuffix is appended to a variable that names a file with the value.
const fileSuffix = "_FILE"

// Variable names the environment variable that gives a key:
// "slack.api_url" is SERIN_SLACK_API_URL, and NAME in "webhooks.NAME.secret"
// is the entry's name. Signs that a name cannot have are written "_".
func Variable(key string) string {
	return prefix + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
}

// Setting is one key with its value, for people: a secret is masked.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Secret bool   `json:"secret,omitempty"`
}

// Settings lists what is set, by key. Secrets are shown as "(set)".
func (c *Config) Settings() []Setting {
	var out []Setting
	c.leaves(func(l leaf) error {
		if l.value.IsZero() {
			return nil
		}
		s := Setting{Key: l.key, Value: fmt.Sprint(l.value.Interface()), Secret: l.secret}
		if l.secret {
			s.Value = "(set)"
		}
		out = append(out, s)
		return nil
	})
	return out
}

// Unknown returns the variables of environ (NAME=value) that look like
// serin's and are not: what they were meant to set is not set.
func (c *Config) Unknown(environ []string) []string {
	known := map[string]bool{"SERIN_URL": true, "SERIN_TOKEN": true, "SERIN_CONFIG": true}
	c.leaves(func(l leaf) error {
		known[Variable(l.key)] = true
		return nil
	})
	var out []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, prefix) && !known[name] && !known[strings.TrimSuffix(name, fileSuffix)] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// overlay sets every key whose variable is there.
func (c *Config) overlay(getenv func(string) string) error {
	return c.leaves(func(l leaf) error {
		name := Variable(l.key)
		text, file := getenv(name), getenv(name+fileSuffix)
		switch {
		case text != "" && file != "":
			return fmt.Errorf("%s and %s%s are both set: keep one", name, name, fileSuffix)
		case file != "":
			data, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("%s%s: %w", name, fileSuffix, err)
			}
			name, text = name+fileSuffix, strings.TrimSpace(string(data))
		case text == "":
			return nil
		}
		if err := set(l.value, text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// leaf is a key that holds one value.
type leaf struct {
	key    string
	value  reflect.Value // settable
	secret bool
}

// leaves calls fn for every key, those of named entries in the order of their names.
func (c *Config) leaves(fn func(leaf) error) error {
	return walk("", reflect.ValueOf(c).Elem(), fn)
}

func walk(at string, v reflect.Value, fn func(leaf) error) error {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		key := at + f.Tag.Get("yaml")
		var err error
		switch {
		case field.Kind() == reflect.Struct:
			err = walk(key+".", field, fn)
		case field.Kind() == reflect.Map && f.Type.Elem().Kind() == reflect.Struct:
			err = walkEntries(key, field, fn)
		case field.Kind() != reflect.Map:
			err = fn(leaf{key: key, value: field, secret: f.Tag.Get("secret") != ""})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// walkEntries goes through a mapping of named blocks; what fn changes is put back.
func walkEntries(at string, m reflect.Value, fn func(leaf) error) error {
	names := map[string]reflect.Value{}
	for _, k := range m.MapKeys() {
		names[k.String()] = k
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		entry := reflect.New(m.Type().Elem()).Elem()
		entry.Set(m.MapIndex(names[name]))
		if err := walk(at+"."+name+".", entry, fn); err != nil {
			return err
		}
		m.SetMapIndex(names[name], entry)
	}
	return nil
}

// set reads text as v's kind; a list is separated by commas.
func set(v reflect.Value, text string) error {
	switch v.Interface().(type) {
	case string:
		v.SetString(text)
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q: write true or false", text)
		}
		v.SetBool(b)
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q: write a whole number", text)
		}
		v.SetInt(int64(n))
	case []string:
		var list []string
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		v.Set(reflect.ValueOf(list))
	default:
		return fmt.Errorf("a value of kind %s cannot be given by a variable", v.Kind())
	}
	return nil
}
