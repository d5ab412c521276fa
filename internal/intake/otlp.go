package intake

import (
	"net/http"
	"strings"
)

// The endpoints of OTLP/HTTP, as Request.Endpoint and in Options.Decoders.
const (
	EndpointTraces  = "v1/traces"
	EndpointMetrics = "v1/metrics"
	EndpointLogs    = "v1/logs"
)

// A Replier is a Decoder whose protocol has refusals of its own. Reply returns
// the body of a refusal with this status and what it is; header is the
// request's. Other Decoders' refusals are {"detail": ...}.
type Replier interface {
	Reply(header http.Header, status int, detail string) (body []byte, contentType string)
}

// matchOTLP splits PREFIX/v1/{signal}, where the key names the project, and
// PREFIX/api/{project}/otlp/v1/{signal} or its alias with integration/ before
// otlp, which Sentry's SDKs make of a DSN.
func matchOTLP(path string) (project, endpoint string, ok bool) {
	for _, e := range [...]string{EndpointTraces, EndpointMetrics, EndpointLogs} {
		rest, found := strings.CutSuffix(path, "/"+e)
		if !found {
			continue
		}
		if of, found := strings.CutSuffix(rest, "/otlp"); found {
			of = strings.TrimSuffix(of, "/integration")
			if before, project, found := cutLast(of, "/"); found && validProject(project) && strings.HasSuffix(before, "/api") {
				return project, e, true
			}
		}
		return "", e, true
	}
	return "", "", false
}

// bearerKey is the key of "Authorization: Bearer KEY", which OTLP's exporters
// are mostly told to send; "" if the header is of another scheme.
func bearerKey(value string) string {
	scheme, key, ok := strings.Cut(strings.TrimSpace(value), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}

func isOTLP(endpoint string) bool { return strings.HasPrefix(endpoint, "v1/") }
