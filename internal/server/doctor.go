package server

import (
	"context"

	"serin/internal/api"
	"serin/internal/web"
)

// doctor gives the API's diagnosis to the first-run page.
func doctor(d api.Doctor) func(ctx context.Context, flag, user string) (web.Diagnosis, error) {
	return func(ctx context.Context, flag, user string) (web.Diagnosis, error) {
		who := web.PersonOf(ctx).Principal
		d.Sees, d.Project = who.InProject, who.Home()
		found, err := d.Diagnose(ctx, api.DoctorAsk{Flag: flag, User: user})
		if err != nil {
			return web.Diagnosis{}, err
		}
		out := web.Diagnosis{OK: found.OK}
		for _, s := range found.Steps {
			out.Steps = append(out.Steps, web.DiagnosisStep(s))
		}
		return out, nil
	}
}
