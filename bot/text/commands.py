"""Names and descriptions of commands and options (Discord allows 100 characters each)."""

from __future__ import annotations

CHAT = "Ask the AI; the answer appears here"
CHAT_PROMPT = "What you want to know"
CHAT_FILE = "A picture or another file that belongs to the question"
CHAT_MODEL = "Which model answers"
CHAT_PRIVATE = "Show the answer to you alone"

FORGET = "Let the AI forget everything said in this channel"

CREDITS = "Your credits"
CREDITS_BALANCE = "How many credits you have"
CREDITS_HISTORY = "What your last credits came from and went to"
CREDITS_PRICES = "What each model costs"

QUOTA = "Members' credits (needs Manage Server)"
QUOTA_GRANT = "Give a member credits"
QUOTA_TAKE = "Take credits from a member"
QUOTA_SET = "Set how many credits a member can spend"
QUOTA_MEMBER = "Whose credits"
QUOTA_AMOUNT = "Whole credits"
QUOTA_REASON = "Why; the member sees it"

HELP = "What I can do"
