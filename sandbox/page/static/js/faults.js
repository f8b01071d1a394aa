// What the panel can switch at the provider: how fast it is, and what goes wrong.

// Name, pace of words, pace of pictures and videos (seconds for each).
export const PACES = [
  ["Usual", { tokens_per_s: 80, first_token_delay_s: 0.4 }, { image_s: 4, video_s: 10 }],
  ["Slow", { tokens_per_s: 12, first_token_delay_s: 3 }, { image_s: 20, video_s: 45 }],
  ["Crawling", { tokens_per_s: 3, first_token_delay_s: 8 }, { image_s: 90, video_s: 240 }],
];

const errors = (kind) => [
  ["400 invalid request", { kind, code: "invalid_request" }],
  ["401 invalid API key", { kind, code: "invalid_api_key" }],
  ["402 insufficient credits", { kind, code: "insufficient_credits" }],
  ["403 address not allowed", { kind, code: "ip_not_allowed" }],
  ["404 model not found", { kind, code: "model_not_found" }],
  ["429 rate limit", { kind, code: "rate_limit_exceeded" }],
  ["429 spend limit", { kind, code: "spend_limit_exceeded" }],
  ["500 internal error", { kind, code: "internal_error" }],
  ["503 upstream error", { kind, code: "upstream_error" }],
];

// The provider's documented errors, then what networks do to an answer, then tasks.
export const FAULTS = [
  ["Answers: errors of the provider", errors("error")],
  [
    "Answers: trouble on the way",
    [
      ["Cut in the middle", { kind: "cut", after_events: 12 }],
      ["Stalls in the middle", { kind: "stall", after_events: 12 }],
      ["Malformed data", { kind: "malformed", after_events: 12 }],
      ["Connection reset", { kind: "reset" }],
      ["An HTML page instead", { kind: "html" }],
      ["An error inside the stream", { kind: "error_event", after_events: 12 }],
      ["Answer left incomplete", { kind: "incomplete", after_events: 40 }],
      ["An empty answer", { kind: "empty" }],
      ["No price in the answer", { kind: "no_credits_field" }],
    ],
  ],
  [
    "Pictures and videos: what becomes of them",
    [
      ["It fails", { kind: "task_failed" }],
      [
        "Refused for its content",
        { kind: "task_failed", code: "content_policy_violation", message: "Content refused" },
      ],
      ["Ten times slower", { kind: "task_slow" }],
      ["It never ends", { kind: "task_endless" }],
      ["Done, without a result", { kind: "task_no_urls" }],
      ["An unknown status word", { kind: "task_status" }],
      ["Its file is gone (404)", { kind: "file_error", status: 404 }],
      ["Its file is huge", { kind: "file_huge" }],
      ["Its file is a web page", { kind: "file_type", form: "html", claimed: "image/png" }],
      ["Its file comes drop by drop", { kind: "file_slow", bytes_per_s: 2000 }],
    ],
  ],
  [
    "Pictures and videos: how it is told",
    [
      ["No callback", { kind: "callback_missing" }],
      ["The callback comes early", { kind: "callback_early" }],
      ["The callback comes late", { kind: "callback_late", delay_s: 30 }],
      ["The callback comes three times", { kind: "callback_duplicate" }],
      ["A forged callback as well", { kind: "callback_forged" }],
    ],
  ],
  [
    "Pictures and videos: the order",
    [
      ["Taken, then the connection breaks", { kind: "create_reset" }],
      ["Taken, then no answer", { kind: "create_hang", delay_s: 600 }],
      ["Taken, then 500", { kind: "create_error", code: "internal_error", after_effect: true }],
      ["Taken, but nameless", { kind: "create_no_task_id" }],
      ...errors("create_error").map(([name, fault]) => [`Refused: ${name}`, fault]),
    ],
  ],
];
