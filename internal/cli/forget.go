package cli

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"serin/internal/api"
)

// forget deletes one user's data.
func (a *app) forget() *cobra.Command {
	var project, reason string
	var yes bool
	cmd := &cobra.Command{
		Use: "forget USER", Short: "Delete what is kept of one user of an application", Args: cobra.ExactArgs(1),
		Long: `Delete what is kept of one user of an application: error samples with their texts, exposures, audiences and affected
users. Counts and frozen reports hold no ids and stay. USER is the id that the application sends; where ids are stored as
digests it is digested first. It cannot be undone and asks first; the audit log keeps a digest of the id. Needs an admin.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes && !agreed(cmd.InOrStdin(), cmd.ErrOrStderr(), args[0]) {
				fmt.Fprintln(cmd.ErrOrStderr(), "nothing was deleted: write the id to agree, or use --yes")
				return errFailed
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var out api.ForgetAnswer
			query := url.Values{"project": {project}}
			if reason != "" {
				query.Set("reason", reason)
			}
			if err := c.Call(cmd.Context(), http.MethodDelete, "/subjects/"+url.PathEscape(args[0])+"?"+query.Encode(), nil, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) {
				fmt.Fprintf(w, "deleted: %d samples, %d rows of audiences and affected users, %d page loads, %d exposures; removed from the users of %d issues\n",
					out.Samples, out.UserRows, out.PageLoads, out.Exposures, out.Issues)
				for _, s := range out.Stays {
					fmt.Fprintln(w, "stays:", s)
				}
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&yes, "yes", false, "do not ask")
	f.StringVar(&project, "project", "1", "project whose user it is")
	f.StringVar(&reason, "reason", "", "kept in the audit log; do not name the user")
	return cmd
}

// agreed asks for the id once more.
func agreed(in io.Reader, out io.Writer, user string) bool {
	fmt.Fprintf(out, "This deletes the data of user %s and cannot be undone. Write the id again to go on: ", oneLine(user))
	line, err := bufio.NewReader(in).ReadString('\n')
	return (err == nil || err == io.EOF) && strings.TrimSpace(line) == strings.TrimSpace(user)
}
