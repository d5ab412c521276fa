package slacktest

import "unicode/utf8"

// The limits of docs.slack.dev/reference/block-kit.
const (
	maxBlocks, maxText, maxSection, maxField = 50, 40000, 3000, 2000
	maxFields, maxElements, maxValue, maxID  = 10, 25, 2000, 255
	maxLabel                                 = 75
)

// checkMessage says what Slack refuses of a message; "" = nothing.
func checkMessage(in map[string]any) string {
	switch {
	case !channelID.MatchString(text(in, "channel")):
		return "channel_not_found"
	case text(in, "text") == "" && in["blocks"] == nil:
		return "no_text"
	case utf8.RuneCountInString(text(in, "text")) > maxText:
		return "msg_too_long"
	}
	return checkBlocks(in["blocks"])
}

func checkBlocks(v any) string {
	if v == nil {
		return ""
	}
	blocks, ok := v.([]any)
	if !ok {
		return "invalid_blocks_format"
	}
	if len(blocks) > maxBlocks {
		return "invalid_blocks"
	}
	ids := map[string]bool{}
	for _, b := range blocks {
		block, _ := b.(map[string]any)
		if !checkBlock(block, ids) {
			return "invalid_blocks"
		}
	}
	return ""
}

func checkBlock(b map[string]any, ids map[string]bool) bool {
	elements, _ := b["elements"].([]any)
	switch b["type"] {
	case "section":
		fields, _ := b["fields"].([]any)
		if b["text"] == nil && len(fields) == 0 || len(fields) > maxFields || b["text"] != nil && !checkText(b["text"], maxSection) {
			return false
		}
		for _, f := range fields {
			if !checkText(f, maxField) {
				return false
			}
		}
		return true
	case "context":
		const most = 10
		if len(elements) == 0 || len(elements) > most {
			return false
		}
		for _, e := range elements {
			if !checkText(e, maxSection) {
				return false
			}
		}
		return true
	case "actions":
		if len(elements) == 0 || len(elements) > maxElements {
			return false
		}
		for _, e := range elements {
			button, _ := e.(map[string]any)
			id := text(button, "action_id")
			if button["type"] != "button" || !checkText(button["text"], maxLabel) || id == "" || len(id) > maxID || ids[id] || len(text(button, "value")) > maxValue {
				return false
			}
			ids[id] = true
		}
		return true
	}
	return false
}

// checkText reports whether v is a text object of 1 to limit characters.
func checkText(v any, limit int) bool {
	t, _ := v.(map[string]any)
	n := utf8.RuneCountInString(text(t, "text"))
	return (t["type"] == "mrkdwn" || t["type"] == "plain_text") && n > 0 && n <= limit
}
