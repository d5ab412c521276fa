package web

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// listRow is an item of a checklist or a task as their pages list it.
type listRow struct {
	ID, Anchor, Do string
	Icon, State    string // what stands in the box: check or box, and the same for screen readers
	Need           bool   // it is open and somebody has to act
	Irreversible   bool
	Role           string // whose it is
	Who            string // completed it
	Via            string // in place of Who: how it was completed
	At             stamp
	Evidence       proof
	Verify, Seen   string
	SeenAt         stamp
	If             string
	Pill           pill
	Waits          string // what it waits for
	Complete       string // address of its form; "" = it is not open here
	Dialog         string // that holds the same form; "" = the page at Complete
	Verb           string // of the button
	Locked         bool
	Reopen         bool
}

// proof is what a person gave as such: a link, a note, or both.
type proof struct{ URL, Link, Note string }

// evidenceOf finds the first link in a text. Only http and https make one:
// whatever else somebody typed stays text.
func evidenceOf(text string) proof {
	for word := range strings.FieldsSeq(text) {
		u, err := url.Parse(word)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			continue
		}
		before, after, _ := strings.Cut(text, word)
		return proof{URL: word, Link: clip(strings.TrimSuffix(u.Host+u.Path, "/"), 60), Note: strings.TrimSpace(strings.TrimSpace(before) + " " + strings.TrimSpace(after))}
	}
	return proof{Note: strings.TrimSpace(text)}
}

// itemList is a list of items and where it stands.
type itemList struct {
	view  controller.View
	who   Person
	now   time.Time
	back  string // the page that its forms return to: checklist or cleanup
	owner string // of items that name no role
	open  bool   // the list is in force: its items can be completed
	begun bool   // it was in force once
}

// inForce reports whether the tasks of the clean-up, else the checklist before
// the start, can be worked on.
func inForce(v controller.View, tasks bool) bool {
	if tasks {
		return v.State.Status == rollout.Cleanup
	}
	return v.State.Status == rollout.Preflight
}

// seenFresh is how long what a machine saw is shown without a warning.
const seenFresh = time.Hour

// row shows one item.
func (l itemList) row(it controller.ItemView) listRow {
	out := listRow{ID: it.ID, Anchor: "item-" + slug(it.ID), Do: orElse(it.Do, it.ID), Icon: "box", State: "open", Role: orElse(it.By, l.owner), Verify: it.Verify,
		Irreversible: it.Irreversible, Evidence: evidenceOf(it.Evidence), Seen: seen(it), SeenAt: at(it.SeenAt, l.now), If: it.If, Pill: l.pill(it)}
	if it.Choice != "" {
		out.Evidence.Note = strings.TrimSpace("chosen: " + it.Choice + " " + out.Evidence.Note)
	}
	if it.Done {
		out.Icon, out.State, out.Who, out.At = "check", "completed", it.Who, at(it.When, l.now)
		if it.Who == "" {
			out.Via = "as the plan says"
			if it.Verify != "" {
				out.Via = "verified by serin"
			}
		}
	}
	if !l.open {
		out.Seen = "" // what is seen today is not what it rested on
	}
	if !l.open || it.Idle {
		return out
	}
	a := find(l.view.Actions, rollout.Complete)
	if it.Done {
		out.Reopen = a != nil && a.Open && !special(it) && it.Holds == nil && l.mayTouch(it)
		return out
	}
	out.Need = it.Due.IsZero() || !it.Due.After(l.now)
	out.Waits = l.waits(it)
	if a == nil || !a.Open {
		return out
	}
	out.Verb = "Complete"
	out.Complete = "/rollouts/" + l.view.ID + "/complete?item=" + escapeQuery(it.ID) + "&back=" + l.back
	out.Locked = len(itemBars(it, l.who, l.now)) > 0 || !l.who.can("operate", "approve")
	if !out.Locked && !special(it) {
		out.Dialog = "d-complete"
	}
	if len(it.Choose) > 0 {
		out.Verb, out.Complete = "Choose", "#choose-"+slug(it.ID)
	}
	return out
}

// special items need more than a click and a note: a choice, or the word that
// there is no way back.
func special(it controller.ItemView) bool { return len(it.Choose) > 0 || it.Irreversible }

// itemBars lists why a person cannot complete an open item now.
func itemBars(it controller.ItemView, p Person, now time.Time) []string {
	var bars []string
	if it.Idle {
		bars = append(bars, "it applies with "+it.If+" only, and that is not chosen")
	}
	switch {
	case it.Stale:
		bars = append(bars, it.Verify+" was last said more than 24 hours ago: send it again")
	case it.Holds != nil && !*it.Holds:
		bars = append(bars, it.Verify+" does not hold")
	case it.Holds == nil && it.Verify != "" && it.Irreversible:
		bars = append(bars, it.Verify+" is not known: "+sender(it.Verify))
	}
	if it.Due.After(now) {
		bars = append(bars, "it is not due before "+onDay(it.Due, now).Text+" UTC")
	}
	if it.By != "" && !p.actsAs(it.By) {
		bars = append(bars, "the role "+it.By)
	}
	return bars
}

// adminRole is the role of a person without one in the plan who may act in any.
const adminRole = "admin"

// actsAs reports whether a person may do what the plan leaves to a role. Of
// somebody who is signed in without one the page does not know: the plan may
// know them by a handle, so the server decides.
func (p Person) actsAs(role string) bool {
	return p.Role == role || p.Role == adminRole || p.Role == ""
}

// sender is who tells serin a fact from outside.
func sender(verify string) string {
	if key, ok := strings.CutPrefix(verify, "pushed "); ok {
		key, _, _ = strings.Cut(key, " ")
		return "serin push " + key + "=VALUE tells it"
	}
	if codeFact(verify) {
		return "serin facts DIR tells it, in the place where the code is"
	}
	return "serin looks at it every minute"
}

// codeFact reports whether a fact is one about code.
func codeFact(verify string) bool {
	return slices.ContainsFunc([]string{"path exists ", "path gone ", "refs gone "}, func(p string) bool { return strings.HasPrefix(verify, p) })
}

// waits says what an open item of the list in force waits for.
func (l itemList) waits(it controller.ItemView) string {
	switch {
	case it.Due.After(l.now):
		return "waits until " + onDay(it.Due, l.now).Text
	case len(it.Choose) > 0:
		return "waits for a choice"
	case it.Stale:
		return "waits to be said again"
	case it.Holds != nil && !*it.Holds:
		return "waits until it holds"
	case it.Holds == nil && it.Verify != "":
		return "waits to be told"
	case it.By != "":
		return "waits for " + it.By
	}
	return "waits for a person"
}

// seen is the value that a fact rests on, in words.
func seen(it controller.ItemView) string {
	if it.Seen == "" || !codeFact(it.Verify) {
		return it.Seen
	}
	gone := !strings.HasPrefix(it.Verify, "path exists ")
	switch {
	case gone && it.Seen == "true":
		return "gone"
	case gone:
		return "still there"
	case it.Seen == "true":
		return "there"
	}
	return "missing"
}

// pill says how an item stands: what a machine saw comes before what people said.
func (l itemList) pill(it controller.ItemView) pill {
	switch {
	case l.back == "cleanup" && l.open && codeFact(it.Verify) && it.Holds != nil && !*it.Holds && !it.Stale && !it.Idle:
		return pill{"wait", "wait", "Not yet"} // that old code is there is no fault before somebody deletes it
	case it.Idle && !it.Done:
		return pill{"wait", "wait", "Only with " + strings.TrimSpace(strings.ToUpper(it.If[strings.LastIndexByte(it.If, ' ')+1:]))}
	case it.Done && !l.open && it.Who == "":
		return pill{"pass", "pass", "Done"}
	case it.Done && !l.open:
		return pill{"pass", "person", "By a person"}
	case it.Stale:
		return pill{"warn", "warn", "Stale, " + ago(it.SeenAt, l.now)}
	case it.Holds != nil && *it.Holds:
		if l.now.Sub(it.SeenAt) > seenFresh {
			return pill{"warn", "pass", "Verified " + ago(it.SeenAt, l.now)}
		}
		return pill{"pass", "pass", "Verified " + ago(it.SeenAt, l.now)}
	case it.Holds != nil:
		return pill{"fail", "fail", "Does not hold"}
	case it.Done && it.Who != "":
		return pill{"pass", "person", "By a person"}
	case it.Done:
		return pill{"pass", "pass", "Done"}
	case !l.begun:
		return pill{"wait", "wait", "To come"}
	case !l.open:
		return pill{"wait", "wait", "Not looked at"}
	case it.Due.After(l.now):
		return pill{"wait", "wait", "Not yet due"}
	case len(it.Choose) > 0:
		return pill{"hold", "hold", "Choose one"}
	case it.Verify != "":
		return pill{"wait", "wait", "Not looked at"}
	}
	return pill{"wait", "wait", "Open"}
}

// rows shows a list; an anchor that is taken is left out.
func (l itemList) rows(items []controller.ItemView, taken map[string]bool) []listRow {
	out := make([]listRow, 0, len(items))
	for _, it := range items {
		row := l.row(it)
		if taken[row.Anchor] {
			row.Anchor = ""
		}
		taken[row.Anchor] = true
		out = append(out, row)
	}
	return out
}

// tally counts the items that apply and those of them that are done.
func tally(items []controller.ItemView) (done, all int) {
	for _, it := range items {
		if !it.Idle || it.Done {
			all++
			done += b2i(it.Done)
		}
	}
	return done, all
}

// completable are the items that a person can complete with a note alone.
func (l itemList) completable(items []controller.ItemView) []option {
	var out []option
	if a := find(l.view.Actions, rollout.Complete); !l.open || a == nil || !a.Open || !l.who.can("operate", "approve") {
		return nil
	}
	for _, it := range items {
		if !it.Done && !special(it) && len(itemBars(it, l.who, l.now)) == 0 {
			out = append(out, option{it.ID, clip(orElse(it.Do, it.ID), 80), false})
		}
	}
	return out
}
