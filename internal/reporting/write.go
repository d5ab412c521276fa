package reporting

import (
	"bytes"
	"strings"
)

// Markdown writes reports one after the other, each with what was decided
// since. Text from outside cannot become markup.
func Markdown(list []View) []byte {
	var parts [][]byte
	for _, v := range list {
		parts = append(parts, v.Report.Markdown(v.Notes, v.Decided))
	}
	return bytes.Join(parts, []byte("\n"))
}

// Text writes reports as they go to channels, one after the other.
func Text(list []View) string {
	var parts []string
	for _, v := range list {
		parts = append(parts, v.Heading()+"\n"+v.Text+"\n")
	}
	return strings.Join(parts, "\n")
}
