package otlp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"serin/internal/intake"
)

// The media types of OTLP/HTTP.
const (
	typeJSON     = "application/json"
	typeProtobuf = "application/x-protobuf"
)

// Fields of Export...ServiceResponse, Export...PartialSuccess (the same for the
// three signals) and google.rpc.Status.
const (
	fieldPartialSuccess protowire.Number = 1
	fieldRejected       protowire.Number = 1
	fieldErrorMessage   protowire.Number = 2
	fieldCode           protowire.Number = 1
	fieldMessage        protowire.Number = 2
)

// answer writes the success: the empty message, or what was rejected.
func (d *decoding) answer() {
	if d.json {
		d.out.AnswerType, d.out.Answer = typeJSON, d.jsonAnswer()
		return
	}
	d.out.AnswerType, d.out.Answer = typeProtobuf, []byte{}
	if d.rejected == 0 {
		return
	}
	var b []byte
	b = protowire.AppendTag(b, fieldRejected, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(d.rejected))
	b = protowire.AppendTag(b, fieldErrorMessage, protowire.BytesType)
	b = protowire.AppendString(b, d.why)
	d.out.Answer = protowire.AppendBytes(protowire.AppendTag(nil, fieldPartialSuccess, protowire.BytesType), b)
}

func (d *decoding) jsonAnswer() []byte {
	if d.rejected == 0 {
		return []byte("{}")
	}
	key := map[string]string{
		intake.EndpointTraces: "rejectedSpans", intake.EndpointMetrics: "rejectedDataPoints", intake.EndpointLogs: "rejectedLogRecords",
	}[d.req.Endpoint]
	// 64-bit integers are strings in the JSON of protobuf.
	return fmt.Appendf(nil, `{"partialSuccess":{%q:%q,"errorMessage":%s}}`, key, strconv.Itoa(d.rejected), quoted(d.why))
}

func quoted(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("otlp: marshal of a string failed: " + err.Error())
	}
	return b
}

// Codes of google.rpc.Status (google/rpc/code.proto).
const (
	codeUnknown           = 2
	codeInvalidArgument   = 3
	codePermissionDenied  = 7
	codeResourceExhausted = 8
	codeUnimplemented     = 12
	codeUnavailable       = 14
)

// Reply implements intake.Replier: a refusal is a google.rpc.Status in the
// encoding that the request names, JSON if it names neither.
func (Decoder) Reply(h http.Header, status int, detail string) (body []byte, contentType string) {
	code := rpcCode(status)
	if mediaType(h) != typeProtobuf {
		return fmt.Appendf(nil, `{"code":%d,"message":%s}`, code, quoted(detail)), typeJSON
	}
	b := protowire.AppendVarint(protowire.AppendTag(nil, fieldCode, protowire.VarintType), uint64(code))
	return protowire.AppendString(protowire.AppendTag(b, fieldMessage, protowire.BytesType), detail), typeProtobuf
}

func rpcCode(status int) int {
	switch status {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
		return codeInvalidArgument
	case http.StatusForbidden:
		return codePermissionDenied
	case http.StatusTooManyRequests, http.StatusRequestEntityTooLarge:
		return codeResourceExhausted
	case http.StatusMethodNotAllowed:
		return codeUnimplemented
	case http.StatusServiceUnavailable:
		return codeUnavailable
	default:
		return codeUnknown
	}
}
