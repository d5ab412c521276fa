package telemetry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"serin/internal/flag"
)

// Subjects says by what name a user is stored. The zero value stores ids as
// they are sent. It is immutable in use and safe for concurrent use.
type Subjects struct {
	Secret []byte // of the installation, see Digest
	// Hash stores Digest in place of ids. The arm of a user is found by the id
	// itself before that.
	Hash bool
}

// Digest is the HMAC-SHA256 (RFC 2104) of a user's id in hexadecimal, with a
// secret of the project: the HMAC of the project's id with the installation's
// secret. It is the name of a user in audit entries, and in everything stored
// where Hash is set. Of no id it is "".
func (s Subjects) Digest(project, id string) string {
	if id == "" {
		return ""
	}
	return hex.EncodeToString(mac(mac(s.Secret, flag.ProjectOf(project)), id))
}

func mac(secret []byte, text string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text)) // never fails: hash.Hash
	return h.Sum(nil)
}

// Name is what a user of a project is stored as.
func (s Subjects) Name(project, id string) string {
	if !s.Hash {
		return id
	}
	return s.Digest(project, id)
}

// leastInText is how long an id must be, in bytes, to be looked for in texts.
const leastInText = 4

// Pseudonymize replaces the user of e by the name that is stored, where ids
// are hashed: in its fields, in tags and attributes that hold the id, and as a
// word of its texts and addresses. What the flag is hashed by stays in e.Key,
// in memory only. Maps and slices are changed, not replaced.
func (s Subjects) Pseudonymize(e *Event) {
	if !s.Hash || e.Key != "" || e.user() == "" {
		return
	}
	id := e.user()
	name := s.Digest(e.Project, id)
	e.Key = id
	e.User, e.SessionUser = s.Digest(e.Project, e.User), s.Digest(e.Project, e.SessionUser)
	for _, m := range []map[string]string{e.Tags, e.Attributes} {
		for k, v := range m {
			if v == id {
				m[k] = name
			} else if t := HideUser(v, id); t != v {
				m[k] = t
			}
		}
	}
	for _, text := range []*string{&e.Message, &e.Title, &e.Culprit, &e.URL, &e.Page} {
		*text = HideUser(*text, id)
	}
	if e.Exception != nil {
		e.Exception.Value = HideUser(e.Exception.Value, id)
	}
	for i := range e.Fingerprint {
		e.Fingerprint[i] = HideUser(e.Fingerprint[i], id)
	}
	for i := range e.Breadcrumbs {
		e.Breadcrumbs[i].Message = HideUser(e.Breadcrumbs[i].Message, id)
	}
}

// hiddenUser stands in a text where the user's id was.
const hiddenUser = "<user>"

// HideUser replaces id in s by "<user>" where it is no part of a longer word.
// An id of less than four bytes is left: it is a word or number of its own.
func HideUser(s, id string) string {
	if len(id) < leastInText || !strings.Contains(s, id) {
		return s
	}
	var out strings.Builder
	for before := byte(0); ; {
		i := strings.Index(s, id)
		if i < 0 {
			out.WriteString(s)
			return out.String()
		}
		if i > 0 {
			before = s[i-1]
		}
		rest := s[i+len(id):]
		out.WriteString(s[:i])
		if wordByte(before) || rest != "" && wordByte(rest[0]) {
			out.WriteString(id)
		} else {
			out.WriteString(hiddenUser)
		}
		s, before = rest, id[len(id)-1]
	}
}

func wordByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
}

// name is what the event's user is stored as; "" = no user.
func (e *Event) name() string {
	if e.User != "" {
		return e.User
	}
	return e.SessionUser
}
