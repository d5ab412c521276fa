package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"serin/internal/health"
)

// maxHealth bounds what is read of an answer.
const maxHealth = 1 << 20

func (a *app) health() *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "Ask a server whether it is ready, and if not, why", Args: cobra.NoArgs,
		Long: `Ask a server's /readyz whether it is ready, and if not, why: one line for each reason. It needs no token. Errors
make the server not ready, warnings do not. Exit status 1: it is not ready, or does not answer.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			base, err := url.Parse(a.address())
			if err != nil || base.Host == "" {
				return usageError{fmt.Errorf("server address %q: write it as http://HOST:PORT", a.address())}
			}
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, strings.TrimSuffix(base.String(), "/")+"/readyz", nil)
			if err != nil {
				return err
			}
			req.Header.Set("Accept", "application/json")
			resp, err := (&http.Client{Timeout: callLimit}).Do(req)
			if err != nil {
				var failed *url.Error
				if errors.As(err, &failed) {
					err = failed.Err // without method and path
				}
				return fmt.Errorf("no answer from the server at %s: %w; is it running, and is this its address for operators?", base, err)
			}
			defer func() { _ = resp.Body.Close() }()
			var r health.Report
			if err := json.NewDecoder(io.LimitReader(resp.Body, maxHealth)).Decode(&r); err != nil {
				return fmt.Errorf("%s answered %s and no report: is this its address for operators?", base, resp.Status)
			}
			if err := a.print(r, func(w io.Writer) { fmt.Fprint(w, r.Text()) }); err != nil {
				return err
			}
			if !r.Ready {
				return errFailed
			}
			return nil
		},
	}
}
