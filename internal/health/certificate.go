package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/acme"
)

// expiring is how long before its end a certificate is told of. Authorities
// renew 30 days before, so something is wrong by then.
const expiring = 7 * 24 * time.Hour

// Certificates watch what a tls.Config serves.
type Certificates struct {
	get   func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	hosts []string // of ACME; empty: one pair for every name
	now   func() time.Time

	mu     sync.Mutex           // guards the fields below
	served map[string]time.Time // end of the certificate last served, by host; "" without ACME
	failed map[string]string    // why there is none, by host
}

// WatchCertificates puts itself before c.GetCertificate, which must be set.
// hosts are those that certificates are asked for by ACME, empty without it:
// only they are watched, since anybody can ask for any name. A reg that is
// not nil gets serin_tls_certificate_expiry_timestamp_seconds.
func WatchCertificates(c *tls.Config, hosts []string, reg prometheus.Registerer) *Certificates {
	w := &Certificates{get: c.GetCertificate, hosts: hosts, now: time.Now, served: map[string]time.Time{}, failed: map[string]string{}}
	c.GetCertificate = w.getCertificate
	if reg != nil {
		reg.MustRegister(w)
	}
	return w
}

func (w *Certificates) getCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	pair, err := w.get(hello)
	if len(w.hosts) > 0 && !slices.Contains(hello.SupportedProtos, acme.ALPNProto) {
		if host := strings.ToLower(strings.TrimSuffix(hello.ServerName, ".")); slices.Contains(w.hosts, host) {
			w.note(host, pair, err)
		}
	}
	return pair, err
}

func (w *Certificates) note(host string, pair *tls.Certificate, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.failed[host] = err.Error()
		return
	}
	delete(w.failed, host)
	if leaf := leafOf(pair); leaf != nil {
		w.served[host] = leaf.NotAfter
	}
}

func leafOf(pair *tls.Certificate) *x509.Certificate {
	if pair == nil || pair.Leaf != nil || len(pair.Certificate) == 0 {
		if pair == nil {
			return nil
		}
		return pair.Leaf
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil
	}
	return leaf
}

// ends returns when the certificate of each host ends, as far as is known.
func (w *Certificates) ends() (ends map[string]time.Time, failed map[string]string) {
	if len(w.hosts) == 0 {
		pair, err := w.get(&tls.ClientHelloInfo{}) // reads renewed files
		w.note("", pair, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.served), maps.Clone(w.failed)
}

// Check is a Check.
func (w *Certificates) Check(context.Context) (out []Reason) {
	ends, failed := w.ends()
	for _, host := range slices.Sorted(maps.Keys(ends)) {
		name, at := "The certificate", ends[host].UTC().Format(time.RFC3339)
		if host != "" {
			name += " of " + host
		}
		switch left := ends[host].Sub(w.now()); {
		case left <= 0:
			out = append(out, Reason{CertExpired, Error, fmt.Sprintf("%s expired at %s: clients refuse to connect until it is renewed.", name, at)})
		case left < expiring:
			out = append(out, Reason{CertExpiring, Warning, fmt.Sprintf("%s expires at %s: renew it.", name, at)})
		}
	}
	for _, host := range slices.Sorted(maps.Keys(failed)) {
		out = append(out, Reason{ACME, Warning, fmt.Sprintf("There is no certificate for %s: %s. The authority must reach port 443 of it.", host, failed[host])})
	}
	return out
}

var certificateEnd = prometheus.NewDesc("serin_tls_certificate_expiry_timestamp_seconds", "When the certificate served last ends, Unix time.", []string{"host"}, nil)

// Describe implements prometheus.Collector.
func (w *Certificates) Describe(out chan<- *prometheus.Desc) { out <- certificateEnd }

// Collect implements prometheus.Collector.
func (w *Certificates) Collect(out chan<- prometheus.Metric) {
	ends, _ := w.ends()
	for host, end := range ends {
		out <- prometheus.MustNewConstMetric(certificateEnd, prometheus.GaugeValue, float64(end.Unix()), host)
	}
}
