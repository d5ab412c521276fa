package config

import (
	"strings"
	"testing"
)

func TestPrivacy(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   Privacy
		err  string // "" = none
	}{
		{name: "nothing given"},
		{name: "all", in: Privacy{Scrub: []string{"patient", "x-*-id"}, Keep: []string{"email", "username", "ip_address"}, UserIDs: "hash"}},
		{name: "plain", in: Privacy{UserIDs: "plain"}},
		{name: "unknown kind", in: Privacy{Keep: []string{"ip"}}, err: `privacy.keep "ip": write email, username or ip_address`},
		{name: "unknown way", in: Privacy{UserIDs: "md5"}, err: `privacy.user_ids "md5": write plain or hash`},
		{name: "key of one letter", in: Privacy{Scrub: []string{"a"}}, err: `privacy.scrub "a"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Config{Privacy: tt.in}.Check()
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}
