package ofrep

import (
	"net/http"
	"strconv"
	"unicode/utf8"

	"serin/internal/flag"
)

// appendText appends s as a JSON string.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	plain := 0 // start of the part that needs no escape
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, size := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		b = append(b, s[plain:i]...)
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= utf8.RuneSelf:
			b = append(b, `\ufffd`...)
		default:
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		plain = i
	}
	return append(append(b, s[plain:]...), '"')
}

// appendEvaluation appends the answer for one flag, success or error.
func appendEvaluation(b []byte, e *flag.Evaluation) []byte {
	b = appendText(append(b, `{"key":`...), e.Key)
	if e.Code != "" {
		b = appendText(append(b, `,"errorCode":`...), string(e.Code))
		b = appendText(append(b, `,"errorDetails":`...), e.Detail)
		if e.Code == flag.FlagNotFound {
			return append(b, '}')
		}
	} else {
		if e.Value != nil {
			b = append(append(b, `,"value":`...), e.Value...)
		}
		b = appendText(append(b, `,"reason":`...), string(e.Reason))
		if e.Variant != "" {
			b = appendText(append(b, `,"variant":`...), e.Variant)
		}
	}
	return append(appendMetadata(b, e.Metadata), '}')
}

func appendMetadata(b, metadata []byte) []byte {
	if metadata == nil {
		return append(b, `,"metadata":{}`...)
	}
	return append(append(b, `,"metadata":`...), metadata...)
}

// status is the HTTP status of one flag's answer.
func status(code flag.ErrorCode) int {
	switch code {
	case "":
		return http.StatusOK
	case flag.FlagNotFound:
		return http.StatusNotFound
	}
	return http.StatusBadRequest
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client went away: nothing to be done
}

// details answers with {"errorDetails": …}.
func details(w http.ResponseWriter, status int, text string) {
	b := appendText([]byte(`{"errorDetails":`), text)
	writeJSON(w, status, append(b, '}'))
}

// failed answers with an error code; key "" is left out, as for bulk.
func failed(w http.ResponseWriter, status int, key string, code flag.ErrorCode, text string) {
	b := []byte(`{`)
	if key != "" {
		b = append(appendText(append(b, `"key":`...), key), ',')
	}
	b = appendText(append(b, `"errorCode":`...), string(code))
	b = appendText(append(b, `,"errorDetails":`...), text)
	writeJSON(w, status, append(b, '}'))
}
