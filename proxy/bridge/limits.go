package bridge

import "time"

// What one server, or one editor, can make a session keep or do. Whatever is over a limit is
// refused, and never cut short: a header that a server wants and does not get, for example,
// would change what a call means.
const (
	// maxMessage is the largest message that passes, either way, in bytes: Cloud Run's limit
	// for a request over HTTP/1. It also bounds a line of an event stream, and the pages of
	// a list of tools that the bridge reads for itself.
	maxMessage = 32 << 20

	// maxBatch bounds the messages of a batch, which only the revision 2025-03-26 has.
	// Editors send a handful. An element takes at least 24 bytes, however small it is.
	maxBatch = 1024

	// maxCalls bounds the calls of one session that are under way. Editors have a handful.
	maxCalls = 256

	// maxAsked bounds the requests of a server that the editor has not answered, and
	// maxRefusing those that are being refused at one time, each with a request.
	maxAsked    = 256
	maxRefusing = 16

	// maxID bounds the id of a message, in bytes. SDKs count, or use a UUID.
	maxID = 1 << 10

	// maxSessionID bounds the name of a session, in bytes, as the relay does. SDKs use a UUID
	// or a random text of 26 to 64 characters.
	maxSessionID = 1 << 10

	// maxRevision bounds the name of a revision of the protocol, in bytes. It is a date.
	maxRevision = 64

	// maxEventID bounds the id of an event, in bytes, which goes back to the server in a
	// header. SDKs use two numbers or two UUIDs. maxEventName is longer than the names of
	// the events of MCP, "message" and "endpoint".
	maxEventID   = 1 << 10
	maxEventName = 64

	// maxEndpoint bounds the URL that a server of the 2024-11-05 transport names, in bytes:
	// what servers commonly take in a request line.
	maxEndpoint = 8 << 10

	// maxSubscriptions bounds the resources that a session is subscribed to.
	maxSubscriptions = 1024

	// maxRefusal bounds what is read of a refusal, in bytes: some sentences.
	maxRefusal = 64 << 10
)

// What is kept of a server's tools: the arguments that they want repeated in headers.
const (
	// maxTools bounds the tools with such arguments. The largest servers in use have some
	// hundreds of tools, and models of 2026 are at their best with some dozens.
	maxTools = 1024

	// maxSchema bounds a schema with such arguments, in bytes. Those of large tools take
	// some ten kilobytes.
	maxSchema = 64 << 10

	// maxSchemaDepth bounds how deep an argument is nested: what the model APIs that limit
	// this take in a schema.
	maxSchemaDepth = 10

	// maxHeaders bounds the headers of one tool.
	maxHeaders = 64

	// maxToolBytes and maxToolsBytes bound the names that are kept of one tool and of all
	// tools of a server.
	maxToolBytes  = 8 << 10
	maxToolsBytes = 1 << 20

	// maxParamBytes bounds the values of such arguments in one call, in bytes. Cloud Run
	// takes 64 KiB of headers, with all others.
	maxParamBytes = 48 << 10

	// maxToolPages bounds the pages of a list of tools that the bridge reads for one call,
	// and maxCursor what names a page, in bytes.
	maxToolPages = 50
	maxCursor    = 4 << 10
)

// How often a stream is opened again.
const (
	// firstPause is the least time before a stream is opened again, whatever the server asks
	// for. It doubles with each stream that cannot be opened or ends at once, up to maxPause,
	// which is also the longest that a server can ask for.
	firstPause = time.Second
	maxPause   = time.Minute

	// steadyAfter is how long a stream has to last not to have ended at once.
	steadyAfter = 10 * time.Second

	// maxResumes bounds the attempts to get a call's broken stream back before any event
	// comes.
	maxResumes = 5
)

// noiseEvery and noiseBurst bound the warnings of what a server sends of its own accord.
const (
	noiseEvery = 10 * time.Second
	noiseBurst = 5
)
