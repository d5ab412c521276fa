// Package slackapp is the door for people in Slack: the buttons of serin's
// messages and the slash command /serin. Its main type is App.
//
//	POST /hooks/slack   what Slack posts, signed with the app's signing secret
//	Socket Mode         the same by a connection that serin opens, with an app token
//
// Either way an interaction is acknowledged first, within the 3 seconds that
// Slack allows, and carried out afterwards. The same interaction twice, and two
// clicks on one button, are one command: what a button stands for is part of
// the command's idempotency key.
//
// A user of Slack acts as the person linked to the ids of their workspace and
// user, with that person's rights; see auth.Auth.Slack. Somebody who is not
// linked is told how, and nothing is done. Every command on a rollout goes
// through controller.Do with Via "slack". A button that raises traffic carries
// the version that its message told of: when the rollout has moved on, the
// message is rewritten with the new state. Lowering is never stale. There is no
// raise by slash command. After a click the buttons give way to who did what
// and when.
//
// What comes in is docs.slack.dev's: "Verifying requests from Slack",
// "Interaction payloads", "Slash commands", "Using Socket Mode".
package slackapp
