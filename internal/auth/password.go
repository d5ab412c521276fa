package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Cost of a password hash: argon2id with 19 MiB, two passes and one lane, the
// first choice of the OWASP Password Storage Cheat Sheet.
const (
	argonMemory = 19 * 1024 // KiB
	argonPasses = 2
	argonLanes  = 1
	saltBytes   = 16
	hashBytes   = 32
)

// Length of a password in characters; NIST SP 800-63B asks for at least 8,
// and for no rule about which.
const (
	minPassword = 12
	maxPassword = 256
)

// hashers is how many hashes are computed at a time: each takes 19 MiB.
const hashers = 4

// hasher computes password hashes, a few at a time.
type hasher struct{ slots chan struct{} }

func newHasher() hasher { return hasher{make(chan struct{}, hashers)} }

func (h hasher) sum(ctx context.Context, password string, salt []byte, passes, memory uint32, lanes uint8, n uint32) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(password), salt, passes, memory, lanes, n), nil
}

// hash returns the PHC string of a new password, or ErrInvalid.
func (h hasher) hash(ctx context.Context, password string) (string, error) {
	if n := utf8.RuneCountInString(password); n < minPassword || n > maxPassword {
		return "", fmt.Errorf("%w: a password has %d to %d characters", ErrInvalid, minPassword, maxPassword)
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails: crypto/rand.Read
	sum, err := h.sum(ctx, password, salt, argonPasses, argonMemory, argonLanes, hashBytes)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
}

// matches reports whether password is the one that phc was made of. An empty
// phc matches nothing and takes as long as any other.
func (h hasher) matches(ctx context.Context, phc, password string) (bool, error) {
	if utf8.RuneCountInString(password) > maxPassword {
		return false, nil
	}
	p, err := parsePHC(phc)
	if phc == "" {
		p, err = phcHash{passes: argonPasses, memory: argonMemory, lanes: argonLanes, salt: make([]byte, saltBytes), sum: make([]byte, hashBytes)}, nil
	}
	if err != nil {
		return false, err
	}
	sum, err := h.sum(ctx, password, p.salt, p.passes, p.memory, p.lanes, uint32(len(p.sum)))
	return err == nil && phc != "" && subtle.ConstantTimeCompare(sum, p.sum) == 1, err
}

type phcHash struct {
	passes, memory uint32
	lanes          uint8
	salt, sum      []byte
}

var errPHC = errors.New("a stored password hash is damaged: set a new password")

func parsePHC(text string) (p phcHash, err error) {
	part := strings.Split(text, "$")
	if len(part) != 6 || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errPHC
	}
	if _, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil {
		return p, errPHC
	}
	if p.salt, err = base64.RawStdEncoding.DecodeString(part[4]); err != nil {
		return p, errPHC
	}
	if p.sum, err = base64.RawStdEncoding.DecodeString(part[5]); err != nil || len(p.sum) == 0 || p.passes == 0 || p.lanes == 0 || p.memory > 1<<20 {
		return p, errPHC
	}
	return p, nil
}
