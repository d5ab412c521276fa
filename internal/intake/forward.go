package intake

import (
	"net/http"
	"time"
)

// A Forwarder gets what clients sent once serin has its own part of it. It must
// not keep the client waiting, nor fail: what it cannot take is its own to
// count. It may be called by many goroutines at the same time.
type Forwarder interface {
	Forward(f Forwarded)
}

// Forwarded is one request with its body decompressed and otherwise as sent,
// nothing scrubbed. Body and Request are valid until Forward returns; neither
// may be changed.
type Forwarded struct {
	Project  string
	Endpoint string
	Key      string // that the client sent
	Body     []byte
	File     string // of a large body, compressed with gzip, in place of Body; the Forwarder's own from now on
	Request  *http.Request
	Received time.Time
}

// forwarded tells whether a request goes on: it was taken, or some of it was
// refused under overload. SDKs do not send again after either, so nobody
// else would pass it on.
func (a answer) forwarded() bool {
	return a.status == http.StatusOK || a.status == http.StatusTooManyRequests && a.reason == reasonOverload
}

// reasonOverload is why events are refused that the Sink has no room for.
const reasonOverload = "overload"
