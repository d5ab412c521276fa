package controller

import (
	"bytes"
	"fmt"
	"html/template"
)

// HTML writes the report as one page that stands alone: no script, no file
// beside it, fit to print. html/template escapes all text.
func (r Report) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := reportPage.Execute(&b, r.document()); err != nil {
		return nil, fmt.Errorf("write the report of %s: %w", r.Rollout, err)
	}
	return b.Bytes(), nil
}

var reportPage = template.Must(template.New("report").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark">
<title>{{.Title}}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
.lead{font-size:1.1rem;font-weight:600;margin:0 0 1rem}ul{padding-left:1.2rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #8886;overflow-wrap:anywhere}
th{font-weight:600}pre{padding:.75rem;border:1px solid #8886;overflow-x:auto}
@media print{body{margin:0;max-width:none;font-size:10pt}h2{break-after:avoid}tr{break-inside:avoid}.wide{overflow:visible}}
</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p class="lead">{{.Lead}}</p>
<ul>{{range .Facts}}<li>{{.}}</li>{{end}}</ul>
{{range .Sections}}<section>
<h2>{{.Heading}}</h2>
{{range .Text}}<p>{{.}}</p>
{{end}}{{range .Tables}}<div class="wide"><table>{{with .Caption}}<caption>{{.}}</caption>{{end}}
<thead><tr>{{range .Head}}<th scope="col">{{.}}</th>{{end}}</tr></thead>
<tbody>{{range .Rows}}
<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>{{end}}
</tbody></table></div>
{{end}}{{if .Code}}<pre>{{range .Code}}{{.}}
{{end}}</pre>
{{end}}</section>
{{end}}</main>
</body>
</html>
`))
