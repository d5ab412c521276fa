package plan

func (w *writer) tasks(key string, all []Task) {
	w.block(key, func() {
		for _, t := range all {
			w.item(func() { w.task(t) })
		}
	})
}

func (w *writer) task(t Task) {
	w.text("id", t.ID)
	w.text("do", t.Do)
	w.text("by", t.By)
	if t.Done {
		w.raw("done", "true")
	}
	if t.Verify != nil {
		w.text("verify", t.Verify.Text)
	}
	if t.When != nil {
		w.text("when", t.When.Task+" = "+t.When.Choice)
	}
	if t.HasNotBefore {
		w.duration("not_before", t.NotBefore)
	}
	w.block("choose", func() {
		for _, c := range t.Choose {
			w.text(c.Key, c.Text)
		}
	})
	if t.Irreversible {
		w.raw("irreversible", "true")
	}
}

// ending writes actions, cleanup, after and alerts.
func (w *writer) ending(p *Plan) {
	a := p.Actions
	w.block("actions", func() {
		w.block("rollback", func() {
			w.raw("traffic", "0%")
			w.duration("within", a.RollbackWithin)
		})
		w.block("reduce", func() {
			w.raw("traffic", a.ReduceTraffic.String())
			w.duration("within", a.ReduceWithin)
		})
		if len(a.Revert.Show) > 0 {
			w.block("revert", func() {
				w.texts("show", a.Revert.Show)
				w.duration("within", a.Revert.Within)
				w.text("by", a.Revert.By)
			})
		}
		w.block("restart", func() {
			w.text("from", a.RestartFrom)
			w.duration("after", a.RestartAfter)
			if len(a.RestartNeeds) == 0 {
				w.raw("needs", "[]")
			}
			w.texts("needs", a.RestartNeeds)
		})
	})
	if c := p.Cleanup; len(c.Tasks) > 0 {
		w.block("cleanup", func() {
			w.texts("owner", c.Owners)
			if c.Within > 0 {
				w.duration("within", c.Within)
			}
			w.tasks("tasks", c.Tasks)
		})
	}
	w.block("after", func() { w.duration("alerts", p.AfterAlerts) })
	w.block("alerts", func() {
		for _, alert := range p.Alerts {
			w.item(func() {
				w.text("alert", alert.Name)
				w.text("if", alert.If.Text)
				w.text("severity", alert.Severity)
				w.texts("notify", alert.Notify)
			})
		}
	})
}

func (w *writer) incident(p *Plan) {
	in := p.Incident
	w.block("incident", func() {
		var opens []string
		for _, grade := range in.OpenAlerts {
			opens = append(opens, "alert "+grade)
		}
		for _, r := range in.Opens {
			opens = append(opens, r.Text)
		}
		w.texts("opens", opens)
		if in.Severe != nil {
			w.text("severe", in.Severe.Text)
		}
		w.block("clocks", func() {
			w.duration("respond", in.Respond)
			w.duration("decide", in.Decide)
			w.duration("act", in.Act)
		})
		w.texts("respond", in.Steps)
		w.block("decide", func() {
			for _, b := range in.Tree {
				w.item(func() { w.branch(b) })
			}
		})
		w.texts("close", in.Close)
	})
}

func (w *writer) branch(b Branch) {
	if b.If != nil {
		w.text("if", b.If.Text)
	}
	w.text("do", b.action())
	w.block("then", func() {
		for _, t := range b.Then {
			if t.Flag == "" {
				w.line("- %s", scalar(t.Text))
				continue
			}
			w.item(func() {
				w.block("set", func() {
					w.text("flag", t.Flag)
					w.text("to", t.To)
				})
			})
		}
	})
}

// action is what a branch does, as the plan writes it.
func (b Branch) action() string {
	if b.Do == "reduce" {
		return "reduce " + b.Traffic.String()
	}
	return b.Do
}

// views writes reports and dashboard.
func (w *writer) views(p *Plan) {
	w.block("reports", func() {
		for _, r := range p.Reports {
			w.block(r.Name, func() {
				w.clock("daily", r.Daily)
				if r.Daily == nil {
					w.duration("every", r.Every)
				}
				w.text("to", r.To)
				w.texts("of", r.Of)
			})
		}
	})
	w.block("dashboard", func() {
		w.block("targets", func() {
			for _, t := range p.Dashboard.Targets {
				w.rules(FormatDuration(t.Every), t.Rules)
			}
		})
		w.block("panels", func() {
			for _, panel := range p.Dashboard.Panels {
				w.item(func() {
					w.text("title", panel.Title)
					w.text("query", panel.Query)
					w.text("metric", panel.Metric)
					w.text("by", panel.By)
					if panel.Compare > 0 {
						w.duration("compare", panel.Compare)
					}
				})
			}
		})
	})
}
