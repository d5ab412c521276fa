// Package rollout is the state machine of a rollout. Decide and Apply are
// pure functions of plan, state and input; Step is both. Time is part of the
// input. A rollout is its journal: its state is the fold of Apply over it.
//
// Decide looks in a fixed order and lowers before anything else:
//
//  1. what others have to journal (Input.Record) is taken down;
//  2. a rollback rule is met: rolled_back, or revert_needed once old code is gone;
//  3. no data for too long and the plan says rollback: rolled_back;
//  4. a reduce rule is met: reduced;
//  5. the command, if there is one;
//  6. what was observed: silence, blind rules, data quality, checks, facts;
//  7. the gates, in the order of Waits; when none holds, one advance.
//
// A decision advances by itself at most one stage, whatever time has passed.
// Unknown never raises traffic and by itself never lowers it.
//
// Promises: the same arguments give the same events; no argument is changed;
// nothing is kept. All functions may be called at the same time. Events and
// states that are returned share slices with the input: treat both as
// immutable. Decide returns only a *Refusal as error, and then the events
// that were due in any case, which must be committed all the same.
//
// The journal's entries are described in docs/formats/journal.md.
package rollout
