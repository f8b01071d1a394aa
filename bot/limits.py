"""Every bound of the bot, each with its reason. Units stand at the end of the names."""

from __future__ import annotations

# --- Discord (reliability.md 1.4, discord.md) -------------------------------------------------
MESSAGE_CHARS_MAX = 2_000
"""Discord's limit for a bot's message (the OpenAPI file's 4,000 is for Nitro users)."""
EDIT_INTERVAL_S = 1.2
"""Between two edits in one channel: Discord allows 5 per 5 s, and other edits need their room."""
CARD_CHARS_MAX = 4_000
"""Discord's limit for all text of a Components V2 message."""
PACER_LANES_MAX = 1_000
"""Channels whose last edit we remember; idle ones are dropped above this."""
PLACEHOLDER_DELAY_S = 1.0
"""After this long without a word from the model the member sees that we are at work."""
AUTOCOMPLETE_CHOICES_MAX = 25
"""Discord's limit."""
AUTOCOMPLETE_CHOICE_CHARS_MAX = 100
"""Discord's limit for the name of a choice."""
NONCE_CHARS_MAX = 25
"""Discord's limit; a deterministic nonce makes a repeated create harmless (S-7)."""
NONCE_WINDOW_S = 120.0
"""S-7: Discord remembers a nonce for "a few minutes"; later the channel's history is asked."""
ACKNOWLEDGE_DELAY_S = 0.6
"""Commands are acknowledged within a second; until then a refusal can still be private."""
FINAL_ATTEMPTS_MAX = 6
"""Tries to show a finished page: with the delays below about a minute of Discord trouble."""
REPOSTS_MAX = 1
"""F-90: an answer that is deleted while it is written appears once more, not for ever."""
SOURCES_SHOWN_MAX = 8
"""Of an answer; a wall of links helps nobody."""
SOURCE_TITLE_CHARS_MAX = 80
"""One line on a phone."""
SOURCE_URL_CHARS_MAX = 400
"""Longer ones are shown by their host alone."""
FINAL_RETRY_DELAY_S = 1.0
"""First delay between those tries; it doubles."""
RATE_LIMIT_WAIT_S_MAX = 60.0
"""Longest 429 that discord.py may sit out (F-84); longer ones come back to us."""
ASKED_WAIT_S_MAX = 3_600.0
"""Longest 429 that a start sits out in one piece (F-84); then Discord is asked again."""
GLOBAL_LIMIT_REST_S = 5.0
"""Until requests go on whose holder gave up in a global limit; those last for seconds."""
IDENTIFIES_RESERVED = 50
"""With fewer session starts left we wait for the reset: at zero Discord resets the token (S-9)."""
LOGIN_ATTEMPTS_MAX = 8
"""Tries to reach Discord before the process gives up: five minutes, or what it asks for."""
LOGIN_DELAY_S = 2.0
"""First delay between those tries; it doubles up to the next line."""
LOGIN_DELAY_S_MAX = 60.0
"""A restarted network must be noticed within a minute."""
FOUND_MESSAGES_MAX = 20
"""Hits of a search in the channel that a model is shown."""
FOUND_CHARS_MAX = 500
"""Of one hit."""
COMMAND_PROMPT_CHARS_MAX = 6_000
"""Discord's limit for a text option."""
TIME_ZONE_CHARS_MAX = 60
"""The longest name of a time zone has 32."""
REASON_CHARS_MAX = 200
"""One or two lines on a card."""
QUOTED_CHARS_MAX = 4_000
"""Of a message that the question replies to: two full Discord messages."""

# --- Cards of jobs (reliability.md S-7) ---------------------------------------------------------
CARD_PROMPT_CHARS_MAX = 80
"""Of the prompt in a card's heading: two lines on a phone."""
ALT_TEXT_CHARS_MAX = 256
"""discord.py's limit for the description of a picture."""
CARD_LINK_CHARS_MAX = 2_500
"""Of a result's address on a card, beside its other words; presigned ones have up to 2,000."""
SHOW_TIMEOUT_S = 10.0
"""Progress that could not be shown by then is old; the next one is as good."""
DELIVERY_TIMEOUT_S = 120.0
"""One try to deliver, with the upload of 25 MiB over a slow line."""
DELIVERY_RETRY_S = 5.0
"""After a trouble of Discord's that passes and names no time."""
BAN_PAUSE_S = 600.0
"""F-85: after an answer of Cloudflare's instead of Discord's."""
INVALID_WINDOW_S = 600.0
"""In which Discord counts refused requests."""
INVALID_REQUESTS_SPARING = 2_000
"""S-13: from here on only results are delivered; Discord bans at 10,000."""
INVALID_REQUESTS_STOP = 5_000
"""S-13: nothing is sent for ten minutes."""
UPLOAD_BYTES_MAX = 24 * 1024 * 1024
"""Of all files of one message: Discord takes 25 MiB with everything around them."""
GALLERY_ITEMS_MAX = 10
"""Discord's limit."""
CLOSED_CHANNEL_S = 600.0
"""F-89: a channel that refused us is not asked again for this long (invalid requests count)."""
CLOSED_CHANNELS_MAX = 1_000
"""Remembered at once; the oldest go."""
POSTED_SEARCH_MESSAGES_MAX = 500
"""Five pages of history from the first try on, where a message of ours must be if it was made.

Then as many from now back: there it is if our clock was wrong, and restarts are over in minutes.
"""
CLOCKS_APART_S_MAX = 60.0
"""Our clock and Discord's may differ by this much."""
SHOWN_CARDS_MAX = 2_000
"""Cards whose last look we remember, so that no edit changes nothing."""
CONFIRM_ATTEMPTS_MAX = 3
"""Tries to confirm what is booked: discord.py waits by itself, but not after a cut connection."""
CONFIRMATIONS_MAX = 1_000
"""Open questions about a price; the oldest go."""
CONFIRMATION_S = 840.0
"""A little less than the 15 minutes for which an interaction's token lives."""
INTERACTION_TOKEN_S = 885.0
"""Discord's 15 minutes, less what a request may take."""
INTERRUPTED_TIMEOUT_S = 30.0
"""F-3, F-84: one try to close a deferred answer. It has room for discord.py's five tries of a 5xx;
a webhook's limit it would sit out otherwise, however long, and others wait behind it."""
INTERRUPTED_DELAY_S = 30.0
INTERRUPTED_DELAY_S_MAX = 240.0
"""Between those tries; doubled each time. Six find room in the life of a token."""
INTERACTIONS_KEPT_S = 86_400.0
"""S-2: a repeated one is known for so long; Discord repeats within seconds, after a resume."""
RECEIVE_TIMEOUT_S = 0.5
"""S-2, F-110: what a command waits for the database before the member hears that it is busy."""
MODAL_TEXT_CHARS_MAX = 4_000
"""Discord's limit for a text field."""
JOBS_LISTED_MAX = 10
"""Lines of `/jobs list`: what a phone shows."""

# --- Chat ------------------------------------------------------------------------------------
PROMPT_CHARS_MAX = 20_000
"""Far above a Discord message (2,000) or option (6,000); bounds what we store and estimate."""
ATTACHMENTS_MAX = 10
"""Discord's own limit per message."""
ATTACHMENT_BYTES_MAX = 20 * 1024 * 1024
"""The providers fetch attachments themselves; larger ones time out there."""
HISTORY_TOKENS_MAX = 12_000
"""Window resent with each turn: at 300 µcr per token about 3.6 credits at worst."""
HISTORY_TURNS_MAX = 40
"""Bounds the query as well as the prompt."""
OUTPUT_TOKENS_HELD = 4_096
"""First hold for the answer; extended in steps while it streams (asks.md 3.3)."""
OUTPUT_TOKENS_FLOOR = 256
"""A member who cannot hold even this much could not get a useful answer."""
OUTPUT_TOKENS_STEP = 2_048
"""One extension of a running hold."""
OUTPUT_TOKENS_NOTE = 512
"""How much output a crash may leave out of the operator's loss (F-19): one small write each."""
OUTPUT_TOKENS_MAX = 32_768
"""Where we end an answer whatever the member can pay: nobody reads further in Discord."""
TOOL_ROUNDS_MAX = 4
"""Requests within one turn; a model that still calls tools then is answered without them."""
TURNS_PER_USER_MAX = 3
"""Answers one member may have running at once."""
TOKEN_RATIO_PPM_MIN = 600_000
"""Our estimate is at most so much too high: English and code were measured at 0.7."""
TOKEN_RATIO_PPM_MAX = 4_000_000
"""And so much too low, with reasoning that nobody sees; a report beyond it teaches no more."""
TOKEN_RATIO_RISE_PART = 2
"""Half of the way up with one sample."""
TOKEN_RATIO_FALL_PART = 32
"""A 32nd of the way down: the ratio stands where one text in seventeen weighs more."""
TOKEN_SAMPLE_MIN = 64
"""Estimated tokens of a text below which its framing teaches more than its words."""
BROKEN_STREAMS_FREE = 3
"""S-12: answers a day that may break off uncharged; then what was shown is paid."""
BROKEN_OUTAGE_S = 600.0
"""Around a broken answer: when others break, too, it is the provider's doing."""
BROKEN_OUTAGE_MEMBERS = 2
"""So many others; one alone may be a friend."""
HOLD_TRIES = 2
"""To extend the hold of a running answer; each may itself wait five seconds for a lock (F-110)."""
HOLD_GROWTHS_MAX = 4
"""To carry one price: each takes all there is, so another is refused unless credits came back."""
OWED_DELAY_S = 60.0
"""First delay until an end that Discord did not take is told again; it doubles (S-7)."""
OWED_DELAY_S_MAX = 900.0
"""Then it is tried so often, until it is `OWED_AGE_S_MAX` old."""
SETTLE_DELAYS_S = (0.5, 1.0, 2.0, 4.0)
"""Between tries to book an ended turn; each try may itself wait five seconds for a lock (F-110)."""
SETTLE_DELAY_S = 5.0
"""Between the tries after those; the member is told meanwhile what is held, and until when."""
SETTLE_WAIT_S = 600.0
"""All those tries: then nothing is charged. The price of a turn is known to its process alone."""
VOID_WRITES_EACH = 12
"""Tries to give a hold back after one delay, `SETTLE_DELAY_S` at first; then it doubles."""
VOID_DELAY_S_MAX = 300.0
"""F-111: a full disk is emptied by somebody, and then nobody's credits stay held for long."""
VOID_WRITES_MAX = 180
"""Ten hours of tries; then the next question or start does it."""
TELL_INTERVAL_S = 0.2
"""Between two of those who wait after a restart: each takes up to three requests, of which Discord
allows fifty per second in all; answers and results need most of them (I-32)."""
TELLERS_MAX = 8
"""Channels or commands told side by side after a restart: so many may be held up by Discord before
the others wait, too."""
OWED_TURNS_MAX = 500
"""Ends told after a restart: as many answers as ran at once, and a few that broke off before."""
OWED_AGE_S_MAX = 86_400.0
"""S-7: nobody waits longer for the end of an answer."""
SHUTDOWN_WAIT_S = 25.0
"""S-11: what running answers get to end by themselves."""
SHUTDOWN_TELL_S = 5.0
"""Then they are cut off, and this long is left to book and tell it (image: 40 s in all)."""
CHANNEL_SEARCH_MESSAGES_MAX = 200
"""Two pages of Discord's history per search."""

# --- Provider HTTP (providers.md) --------------------------------------------------------------
CONNECT_TIMEOUT_S = 5.0
"""A connection that did not form by then is safe to try again."""
STREAM_IDLE_TIMEOUT_S = 60.0
"""F-60: a stream without a byte for this long is cut."""
STREAM_TOTAL_TIMEOUT_S = 600.0
"""The whole answer; reasoning models at xhigh take minutes."""
SSE_LINE_BYTES_MAX = 4 * 1024 * 1024
"""`response.completed` repeats the whole text on one line (trap 21)."""
JSON_BODY_BYTES_MAX = 8 * 1024 * 1024
"""Largest JSON answer that we read."""
GET_ATTEMPTS_MAX = 4
"""Reads may be repeated; creates and streams never are."""
CONNECT_ATTEMPTS_MAX = 3
"""Tries to form a connection for a request that has not left yet (F-45)."""
RETRY_DELAY_S = 0.5
"""First pause between two tries; doubled each time, with jitter."""
RETRY_DELAY_S_MAX = 10.0
"""Longest pause; a `Retry-After` beyond it ends the tries, because a member is waiting."""
GET_TIMEOUT_S = 15.0
"""One try of a read, from the request to the last byte."""
ANSWER_HEAD_TIMEOUT_S = 180.0
"""Until the status line of a stream: models think before the first word (trap 13)."""
DRAIN_TIMEOUT_S = 0.25
"""Wait for the end of a body after its terminal event, to keep the connection (trap 20)."""
ERROR_BODY_BYTES_MAX = 64 * 1024
"""The documented error bodies have some hundred bytes."""
ERROR_BODY_TIMEOUT_S = 5.0
"""The status alone names the error if its body does not come."""
RETRY_AFTER_S_MAX = 86_400.0
"""A day; a larger `Retry-After` is cut to it."""
PROVIDER_CONNECTIONS_MAX = 256
"""Streams at once through the shared session; the next one waits CONNECT_TIMEOUT_S."""
CREATE_TIMEOUT_S = 120.0
"""A create's answer, to its last byte: a slow one still names the task (reliability.md 5)."""
CREATE_BODY_BYTES_MAX = 64 * 1024
"""Documented answers to a create have some hundred bytes."""
TASK_ID_CHARS_MAX = 256
"""Gateways wrap their upstream's names; a UUID has 36."""
TASK_URLS_MAX = 16
"""Results of one task that are looked at; the documents show one."""
TASK_URL_CHARS_MAX = 8_192
"""Presigned addresses have up to some 2,000."""
STATUS_WORDS_MAX = 100
"""Unknown status words remembered, so that each is logged once (F-49)."""
CONTENT_BYTES_MAX = 256 * 1024 * 1024
"""A video behind `/content`: 30 s of 1080p stay far below."""
CONTENT_IDLE_TIMEOUT_S = 30.0
"""Between two chunks of it."""
CONTENT_TIMEOUT_S = 300.0
"""All of it; gateways themselves stop after 60 s (providers.md 3.1)."""
CONTENT_REDIRECTS_MAX = 3
"""Within the provider's own origin; further ones are a loop."""

# --- Breakers of providers (reliability.md S-13) ------------------------------------------------
UNCLEAR_MAX = 3
UNCLEAR_WINDOW_S = 60.0
"""So many creates without a clear answer in so long: what a brown-out may cost the operator."""
SERVER_ERRORS_MAX = 5
"""Answers of 5xx in a row: no longer one member's bad luck."""
PAUSE_S = 30.0
"""First pause after trouble; doubled each time the one job that tries it fails, too."""
PAUSE_S_MAX = 900.0
"""A provider that is back must be noticed within a quarter of an hour."""
SPEND_PAUSE_S = 900.0
"""F-37: only the operator helps, and only a paid request can tell that they did."""
TRIAL_S_MAX = 300.0
"""How long the one job that tries a provider keeps the others waiting, should nobody tell of it."""
ACCOUNT_LOOK_S = 5.0
"""How soon the operator hears of a pause."""
ACCOUNT_PROBE_S = 60.0
"""F-32: between two reads of an account that was empty or closed."""
ALERT_INTERVAL_S = 3_600.0
"""F-31: between two messages to the operator about the same thing."""
CLOCK_BEHIND_S_MAX = 86_400.0
"""From the newest window of credits to the clock: less is over by itself within a day."""
RECONCILE_S = 86_400.0
"""F-69: between two comparisons of our books with the provider's account."""
DRIFT_CREDITS = 1
DRIFT_SHARE_PPM = 10_000
"""Section 5 point 7: a larger difference than both, one in a hundred, is an alarm."""

# --- Our own HTTP listener (reliability.md 3.5) ---------------------------------------------------
WEB_BODY_BYTES_MAX = 64 * 1024
"""C-10: far above any callback, far below what would hurt."""
WEB_IDLE_TIMEOUT_S = 5.0
"""F-130: a connection without a whole request is closed."""
WEB_BODY_TIMEOUT_S = 4.0
"""F-131: all of a body, from the last header on; with the other two a request has ten seconds."""
WEB_LINGER_S = 0.5
"""What is still read of a refused body, so that its answer is not lost with the connection."""
WEB_CONNECTIONS_MAX = 512
"""C-10: below a usual limit of 1,024 files, which Discord and the provider need, too (F-122)."""
WEB_REFUSALS_PER_S = 20.0
WEB_REFUSALS_BURST = 100
"""C-10: refused requests of one network; honest senders have next to none."""
WEB_NETWORKS_MAX = 10_000
"""Networks whose refusals are counted; the one that was quiet for longest is forgotten."""
WEB_REFUSAL_LOG_S = 60.0
"""Between two lines about refusals."""
WEB_SHUTDOWN_TIMEOUT_S = 5.0
"""Requests in flight at the end are this short."""
CALLBACKS_BATCH_MAX = 64
"""Stored in one commit: an fsync is what a commit costs, and 4 MiB at most are written at once."""
CALLBACKS_WAITING_MAX = 256
"""Genuine ones that wait for a commit: 16 MiB at most, and far less than a second's work."""
CALLBACK_STORE_TIMEOUT_S = 5.0
"""F-110: then the sender is told to come again, while it still listens."""
CALLBACK_BODIES_MAX = 16
"""Different bodies kept of one job and attempt; an honest sender has one."""
CALLBACK_ADDRESS_S = 7 * 86_400.0
"""S-4: how long the address of a job that is over is answered, so that late senders stop."""
HEALTH_TIMEOUT_S = 4.0
"""Below the five seconds that the image gives its health check."""

# --- Result files (reliability.md C-12) -----------------------------------------------------------
RESULT_IMAGE_BYTES_MAX = 64 * 1024 * 1024
"""A 4K picture as PNG has 25 to 35 MiB; incompressible noise of that size 33 MiB."""
RESULT_VIDEO_BYTES_MAX = 256 * 1024 * 1024
"""As `CONTENT_BYTES_MAX`: 30 s of 4K at 60 Mbit/s are 215 MiB. Discord takes 500 MiB at most and
usually 10; what it does not take is shown as a link."""
RESULT_IMAGE_TIMEOUT_S = 120.0
"""All of a picture, redirects included; a phone's line of 5 Mbit/s brings it in time."""
RESULT_VIDEO_TIMEOUT_S = 300.0
"""All of a film, as `CONTENT_TIMEOUT_S`."""
RESULT_STALL_TIMEOUT_S = 30.0
"""F-56: until the head of an answer, and between two pieces of its body."""
RESULT_REDIRECTS_MAX = 3
"""C-12: object stores need one or two."""
RESULT_WRITE_BYTES = 1024 * 1024
"""Gathered before a thread writes them: bounds the memory of one fetch (F-54)."""
RESULT_FOLDER_BYTES_MAX = 4 * 1024 * 1024 * 1024
"""Files wait there for seconds; this many bytes mean that nothing can be delivered."""
RESULT_DISK_FREE_BYTES_MIN = 256 * 1024 * 1024
"""F-111: the database, which shares the disk, must go on working."""
DISK_FREE_PPM_LOW = 100_000
DISK_FREE_PPM_ALARM = 20_000
"""F-111: the operator is warned at 10 % free, and alarmed at 2 %."""
PICTURE_TIMEOUT_S = 30.0
"""C-15: a member's picture from Discord's CDN; its size is bounded as an attachment's."""

# --- Start guard (reliability.md S-9) -----------------------------------------------------------
STARTS_WITHOUT_DELAY = 3
"""Starts in a row that may fail before the next one waits."""
START_DELAY_S = 5.0
"""Doubled with each further failed start: an endless crash loop then identifies 104 times a day."""
START_DELAY_S_MAX = 900.0
"""Discord allows 1,000 identifies a day and then resets the token."""
STABLE_CONNECTION_S = 1_800.0
"""A start that held this long was a good one."""
EARLY_STOPS_MAX = 3
"""Orderly stops before that which cost nothing: an operator's, not those of a loop."""
EARLY_STOPS_WINDOW_S = 3_600.0
"""Within this time; further ones count like a crash (S-9)."""
STABLE_LOOK_S = 60.0
"""How often that is looked at."""
IDENTIFY_PAUSE_S = 5.0
"""Discord takes one new session in five seconds; discord.py waits as long by itself."""

# --- Jobs (reliability.md S-2, S-5, section 5) ----------------------------------------------------
CONFIRM_ABOVE_CREDITS = 50
"""Dearer jobs are asked about first: a long video is pressed by mistake only once."""
JOBS_PER_USER_MAX = 10
"""Jobs of one member that are not over; one member must not fill the queue."""
JOBS_SHOWN_MAX = 10
"""One page of `/jobs list`."""
CREATES_PER_PROVIDER_MAX = 4
"""Section 5: what a crash can cost the operator is this many prices."""
CREATE_SLOT_DELAY_S = 1.0
"""Until a job is looked at again whose provider has as many creates in flight as it may."""
PAUSED_DELAY_S = 10.0
"""Until an accepted job asks again whether its paused provider may be asked (S-13)."""
JOB_STEPS_MAX = 32
"""Polls, downloads and deliveries at once; creates are counted apart."""
JOB_LEASE_S = 30.0
"""How soon a restarted process takes a job over that the former one was moving."""
JOB_SWEEP_S = 30.0
"""The engine knows when its jobs are due; this often it also looks for what it was not told of."""
STORE_TROUBLE_DELAY_S = 1.0
"""Before the engine asks a database again that did not answer."""
IMAGE_DEADLINE_S = 30 * 60.0
VIDEO_DEADLINE_S = 3 * 3_600.0
"""S-5, from acceptance; then the credits go back (F-52)."""
IMAGE_FIRST_POLL_S = 5.0
VIDEO_FIRST_POLL_S = 20.0
"""Until a model's usual duration is learned."""
POLL_DELAYS_S = (5.0, 10.0, 20.0, 30.0, 60.0)
"""S-5: after the first poll; the last one repeats."""
POLL_INTERVAL_S_MIN = 5.0
"""F-65: callbacks cannot make us ask the provider about one job more often."""
POLLS_PER_S_MAX = 10
"""Of all jobs together."""
JITTER_PPM = 100_000
"""Waits are spread by this share, so that jobs accepted together are not polled together."""
IMAGE_GRACE_S = 10 * 60.0
VIDEO_GRACE_S = 3_600.0
"""Section 5: how long an unclear create waits for evidence."""
GRACE_DURATIONS = 3
"""Or this many times the slowest that was learned of the model (its p99)."""
BLIND_GRACE_S = 120.0
"""Without a callback nothing can arrive: the member need not wait long."""
LATE_LOOKS = 20
LATE_LOOK_DELAY_S = 60.0
LATE_LOOK_DELAY_S_MAX = 3_600.0
"""S-5, S-6: looks at a task that had not ended by its deadline, about fifteen hours; the first
after a minute, doubled each time. Links of results live for 24 hours (providers.md 1.5)."""
EVIDENCE_SLACK_S = 120.0
"""Between the provider's clock and ours, where a task must have been made by our create."""
REFUSED_S_MAX = 300.0
"""F-36, F-45: a create that was refused for now is tried again for this long."""
REFUSED_DELAY_S = 5.0
REFUSED_DELAY_S_MAX = 60.0
"""Between those tries where the provider names no time; doubled each time."""
TASK_MISSING_TRIES = 3
TASK_MISSING_DELAY_S = 40.0
"""F-35: three tries within two minutes."""
URL_MISSING_TRIES = 3
"""F-48: a completed task may name its result a moment later."""
FETCH_TRIES = 3
"""F-53: each with a fresh read of the task, whose address may be a new one."""
RESULT_FILES_MAX = 4
"""Results of one task that are shown: a gallery that fits a phone."""
REPORTED_FACTOR_MAX = 100
"""F-51: of the listed price; a larger reported amount is no price, and is booked as this."""
STEP_ERRORS_MAX = 5
"""A job that makes us fail this often in a row is ended, and its credits given back."""
STEP_ERROR_DELAY_S = 5.0
"""Before such a job is touched again; doubled each time."""
VERDICT_WRITES_MAX = 120
"""Tries to write down what a create answered, five seconds apart: the id is known only here."""
VERDICT_DELAY_S = 5.0
CARD_INTERVAL_S = 5.0
"""Between two refreshes of one job's card."""
CARD_REFRESHES_MAX = 4
"""Cards brought up to date at once."""
CARDS_PER_S_MAX = 10
"""Refreshes of all cards together: a fifth of what Discord grants a bot (reliability.md 1.4)."""
CARDS_PER_ROUND_MAX = 50
"""Cards looked at in one round; the next round goes on where this one ended."""
DELIVERY_DELAY_S = 2.0
DELIVERY_DELAY_S_MAX = 300.0
"""S-7: between two tries to deliver; doubled each time, unless Discord names a longer one."""
DELIVERY_AGE_S_MAX = 86_400.0
"""S-7: then the member's list has the outcome."""
EVIDENCE_DELAY_S_MAX = 300.0
"""Between two reads of a task that a callback names; five seconds at first, doubled each time."""
LATE_TRIES = 20
"""S-6: tries to have a late result, about an hour and a half; then it is let go."""
HOUSEKEEPING_S = 3_600.0
"""Between two rounds of forgetting what is of no more use (C-45)."""
CALLBACKS_KEPT_S = 7 * 86_400.0
"""C-45."""
SOURCE_KEPT_S = 86_400.0
"""How long a result's address at the provider works when it names no end (providers.md 1.5)."""
RESULTS_KEPT_S = 86_400.0
"""Files of what was delivered; the provider keeps them as long (providers.md 1.5)."""

# --- Credits -----------------------------------------------------------------------------------
GRANT_CREDITS_MAX = 1_000_000
"""product.md, /quota."""
BUDGET_CREDITS_MAX = 1_000_000_000
"""A ceiling, also the operator's: more than the largest server spends in a month (I-11)."""
HISTORY_LINES_MAX = 10
"""Lines of `/credits history`: what a phone shows without scrolling."""
HISTORY_PROMPT_CHARS_MAX = 40
"""Characters of a prompt in such a line: enough to recognise it on a phone."""

assert TOKEN_RATIO_PPM_MIN <= 1_000_000 <= TOKEN_RATIO_PPM_MAX
assert OUTPUT_TOKENS_FLOOR < OUTPUT_TOKENS_HELD < OUTPUT_TOKENS_MAX
assert CONNECT_TIMEOUT_S < STREAM_IDLE_TIMEOUT_S < STREAM_TOTAL_TIMEOUT_S
assert STREAM_IDLE_TIMEOUT_S < ANSWER_HEAD_TIMEOUT_S < STREAM_TOTAL_TIMEOUT_S
assert CONNECT_TIMEOUT_S < CREATE_TIMEOUT_S
assert CONNECT_TIMEOUT_S * CONNECT_ATTEMPTS_MAX + CREATE_TIMEOUT_S < TRIAL_S_MAX
assert PAUSE_S < PAUSE_S_MAX
assert INVALID_REQUESTS_SPARING < INVALID_REQUESTS_STOP < 10_000
assert BAN_PAUSE_S >= INVALID_WINDOW_S
assert CONTENT_IDLE_TIMEOUT_S < CONTENT_TIMEOUT_S
assert CALLBACKS_BATCH_MAX <= CALLBACKS_WAITING_MAX <= WEB_CONNECTIONS_MAX
assert WEB_IDLE_TIMEOUT_S + WEB_BODY_TIMEOUT_S + WEB_LINGER_S < 10
assert CONNECT_TIMEOUT_S < RESULT_STALL_TIMEOUT_S < RESULT_IMAGE_TIMEOUT_S
assert RESULT_IMAGE_TIMEOUT_S < RESULT_VIDEO_TIMEOUT_S
assert RESULT_IMAGE_BYTES_MAX < RESULT_VIDEO_BYTES_MAX < RESULT_FOLDER_BYTES_MAX
assert min(POLL_DELAYS_S) >= POLL_INTERVAL_S_MIN
assert (TASK_MISSING_TRIES - 1) * TASK_MISSING_DELAY_S <= 120
assert IMAGE_GRACE_S < IMAGE_DEADLINE_S < VIDEO_DEADLINE_S
assert JOB_SWEEP_S <= JOB_LEASE_S < CREATE_TIMEOUT_S
