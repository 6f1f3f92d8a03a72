// Package webhook is the public HTTP intake: it takes deliveries from Zoho Desk, proves where they come from, splits
// them into events and holds them in a durable log before it answers 200. It owns the hook URLs, the proofs of the sender,
// the limits on what is read and kept, and the encoding of a group of events (EncodeGroup, DecodeGroup).
//
// It does not know how changes are applied, nor what the log is made of: Log and DeadLetters are declared here and
// implemented elsewhere. Nor does it know one sender from another: how one proves itself is the Proof that its Route is
// given. JWT is Zoho Desk's; EchoedToken is that of senders which repeat a token. Registering at the sender belongs to
// source/subscription and source/zohodesk.
//
// # What a sender is answered
//
//	200  the events are in the log, or kept as dead letters; GET and HEAD; a POST without token and without events, which
//	     is how Zoho validates a URL (OAS Webhook.json: GET, then POST)
//	400  the body is no JSON, or was cut; kept as a dead letter, because the secret in the URL was right
//	401  the token is missing where it is required, or is not valid (JWT says when)
//	403  token or events belong to another portal, or the token to another webhook; nothing is kept
//	404  no such pipeline, or another secret
//	405  neither GET, HEAD nor POST
//	413  the body is larger than Config.MaxBody, or has more than 10,000 elements
//	503  not held yet: the log is full or broken, too much is in flight, the wait is over, or a token is
//	     required and Zoho's signing keys cannot be fetched, which is not the sender's fault. The events may be stored all the same; duplicates are harmless.
//
// Never 410, on which Zoho removes the subscription (WEBHOOKDOC). Answers have no body.
//
// Zoho waits 5 seconds and is not known to retry (WEBHOOKDOC), so what is answered 503 is found again by the polls.
package webhook
