package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// request is a call of POST /api/v2/alerts.
func request(ctx context.Context, base string, list []Alert) (*http.Request, error) {
	body, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("alertmanager: encode alerts: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/")+"/api/v2/alerts", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "serin")
	return req, nil
}
