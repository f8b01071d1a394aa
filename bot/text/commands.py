"""Names and descriptions of commands and options (Discord allows 100 characters each)."""

from __future__ import annotations

CHAT = "Ask the AI; the answer appears here"
CHAT_PROMPT = "What you want to know"
CHAT_FILE = "A picture or another file that belongs to the question"
CHAT_MODEL = "Which model answers"
CHAT_PRIVATE = "Show the answer to you alone"

FORGET = "Let the AI forget everything said in this channel"

IMAGINE = "Make a picture"
IMAGINE_PROMPT = "What the picture shows, or what to change in yours"
IMAGINE_RATIO = "Its shape"
IMAGINE_RESOLUTION = "Its size; larger ones cost more"
IMAGINE_IMAGE = "A picture to begin with"
IMAGINE_SPOILER = "Hide it until it is clicked"
EDIT_IMAGE = "Edit this image"
ANIMATE_IMAGE = "Animate this image"

VIDEO = "Make a video"
VIDEO_PROMPT = "What happens in it"
VIDEO_MODEL = "Which model makes it"
VIDEO_IMAGE = "The picture it begins with"
VIDEO_SECONDS = "Its length; longer ones cost more"
VIDEO_SIZE = "Its resolution and shape, as the model offers them"

JOBS = "Your pictures and videos"
JOBS_LIST = "What you asked for, and where it stands"
JOBS_SHOW = "Show a job here once more, with its result"
JOBS_CANCEL = "Stop a job that has not begun"
JOBS_BIND = "Staff: tell which task of the provider is a job whose answer got lost"
JOBS_TASK = "The task's id at the provider"
JOBS_JOB = "Which one"

CREDITS = "Your credits"
CREDITS_BALANCE = "How many credits you have"
CREDITS_HISTORY = "What your last credits came from and went to"
CREDITS_PRICES = "What each model costs"

CREDITS_GIFT = "Give some of your credits to another member"
CREDITS_GIFT_MEMBER = "Who gets them"
CREDITS_GIFT_AMOUNT = "Whole credits; an allowance cannot be given away"

QUOTA = "Members' credits (needs Manage Server)"
QUOTA_GRANT = "Give a member credits"
QUOTA_TAKE = "Take credits from a member"
QUOTA_SET = "Set how many credits a member can spend"
QUOTA_BUDGET = "Show or set what all members here may spend together"
QUOTA_BUDGET_DAY = "Whole credits per day; 0 = no ceiling"
QUOTA_BUDGET_MONTH = "Whole credits per month; 0 = no ceiling"
QUOTA_BUDGET_ZONE = "Where days and months turn, such as Europe/Berlin"
QUOTA_MEMBER = "Whose credits"
QUOTA_AMOUNT = "Whole credits"
QUOTA_REASON = "Why; the member sees it"

HELP = "What I can do"
