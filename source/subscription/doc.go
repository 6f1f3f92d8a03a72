// Package subscription keeps pipelines subscribed at the senders of their events: it registers, looks, repairs, renews,
// rotates the secret in the URL, and remembers. What a sender can do is a Kind; Zoho Desk's webhooks (Desk) are one, and one
// whose subscriptions expire within a day and are proven by an echoed token fits without a change here or in the intake.
//
// It owns what is known of a subscription (Subscription, kept in state under hook.<pipeline>) and which secrets and tokens
// the intake accepts at a moment. Secrets are derived from the state key, one a generation, and never stored; so a state
// that was lost is found again by comparing the URLs at the sender with the generations'. It leaves to others the receiving
// of events (source/webhook), the sender's API (source/zohodesk) and what closes a gap (polls of the pipeline, told by
// Config.Missed).
//
// # What a look comes to
//
//	not there, wanted                 registered again
//	there, off or with another URL    put right, all of it
//	there, without an event of ours   put right
//	there, other options              put right, the same ones once a day at most: a sender may not show what it took
//	two thirds of its life over       renewed
//	there, and nobody asked for it    left alone, unless state never heard of it: then state was lost, and it is wanted
//	at a deskhouse on another host    left alone and told (ErrElsewhere), until somebody registers it here
//	refused (scope, edition, quota)   told once, polls go on, tried again every hour
//	not answered                      tried again after a minute, doubling to an hour
//
// Only Remove removes, and what is wanted stays so until that succeeds. A subscription of another URL is none of ours,
// whatever its name. A known one whose URL is this pipeline's path with one of its secrets, at another host, is what a copy
// of the state sees of the original (Keeper.Elsewhere); any other URL of a known one is a mistake, and is put right.
//
// # Rotation
//
// Rotate begins a new generation: from then on the intake accepts both secrets, also after a crash, because the generation
// is stored first. Then the sender is switched over, at once or by the next look, and validates the new URL. The old secret
// is accepted for Overlap longer, for deliveries that were queued for it. Of a hook that was made by hand nobody can tell
// when it was switched: there the old secret stays until Finish, as it does as long as a look finds it in use.
//
// A generation newer than state knows of, in a URL at the sender or in a request (Keeper.Learn), says that state was lost
// or is older: it is taken up. An older one that was ended stays so.
//
// # Other processes
//
// State may be shared. Everything begins with what is stored now and is stored only over that; who was overtaken begins
// anew. So what a command on another machine changes is known here at the next look, hourly at the latest.
package subscription
