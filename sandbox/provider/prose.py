"""Texts by kind: an ordinary answer, a long one, code, a table, sources, thoughts."""

from __future__ import annotations

import re
from typing import Final

from sandbox.provider.reply import Citation, Reply
from sandbox.provider.words import capital, keywords, number_from, pick, slug, topic_of

LONG_CHARS_DEFAULT: Final = 4_500
"""Above two Discord messages, so that "a long answer" shows pages."""
LONG_CHARS_MAX: Final = 40_000
"""What a question may ask for."""

_OPENINGS: Final = (
    "Good question. **{Topic}** comes down to a few things that are easy to mix up.",
    "Here is the short version of **{topic}**, and then the parts that matter in practice.",
    "Let me take **{topic}** apart: first the idea, then what follows from it.",
    "There is a simple way to look at **{topic}**, and it gets most people most of the way.",
    "**{Topic}**: it sounds bigger than it is, and three points carry nearly all of it.",
)
_POINTS: Final = (
    "**Start from the goal.** Say what should be different afterwards; the rest follows.",
    "**Mind the limits.** With *{word}* most surprises come from outside the usual case.",
    "**Try it small.** One honest experiment teaches more than an hour of reading.",
    "**Compare two ways.** Put the obvious alternative beside *{word}* and note the difference.",
    "**Watch the costs.** Time, attention and money hide in the parts that nobody mentions.",
    "**Write it down.** A sentence about *{word}* today saves a long search next month.",
    "**Ask who else is concerned.** It is rarely one person only.",
    "**Keep the exit open.** Choose the form that you can undo tomorrow.",
)
_STEPS: Final = (
    "Say in one sentence what you expect.",
    "Collect what you already have for *{word}*, and leave out what you merely might need.",
    "Do the smallest version that still counts.",
    "Look at the result with somebody who was not there.",
    "Keep what worked, drop one thing that did not, and repeat.",
)
_CLOSINGS: Final = (
    "If you tell me a little more about your case, I can be more precise about *{word}*.",
    "Shall I go deeper into one of these, or show an example?",
    "That is the core of it; the rest of *{topic}* is detail.",
    "So: begin small, keep an eye on *{word}*, and adjust as you go.",
)
_PARAGRAPHS: Final = (
    (
        "Whoever meets {topic} for the first time tends to look for one cause. There are "
        "usually several, and they act at different speeds: some show at once, others only "
        "after weeks."
    ),
    (
        "A picture helps: think of it as a workshop. The tools hang on the wall, the plan "
        "lies on the bench, and most of the day goes into finding out which of the two is "
        "missing."
    ),
    (
        "The numbers deserve a second look. An average hides the extremes, and with {word} it "
        "is often the extremes that decide whether the whole thing was worth it."
    ),
    (
        "Opinions differ here. One side wants it to be simple first, the other wants it "
        "to be complete first; both are right at different moments of the same project."
    ),
    (
        "History is a good teacher: earlier attempts at {topic} failed less for lack of ideas "
        "than for lack of patience with small, dull, necessary steps – naïve haste, as the "
        "saying goes."
    ),
)


_BRIEF: Final = re.compile(
    r"\b(?:one|a single|two|three) (?:short )?(?:sentences?|words?|lines?)\b|\bbriefly\b",
    re.IGNORECASE,
)


def _fill(template: str, topic: str, word: str) -> str:
    return template.format(topic=topic, Topic=capital(topic), word=word, Word=capital(word))


def essay(question: str, *, variety: str = "") -> str:
    """An ordinary answer in two to four blocks of Markdown."""
    topic = topic_of(question)
    words = keywords(question) or [topic]
    key = f"{question}{variety}"
    opening = _fill(pick(_OPENINGS, key), topic, words[0])
    if _BRIEF.search(question):
        return opening
    closing = _fill(pick(_CLOSINGS, key + "end"), topic, words[-1])
    if re.match(r"\s*how\b", question, re.IGNORECASE):
        body = "\n".join(
            f"{index}. {_fill(step, topic, words[index % len(words)])}"
            for index, step in enumerate(_STEPS, 1)
        )
    else:
        first = number_from(key + "points", 0, len(_POINTS) - 1)
        body = "\n".join(
            f"- {_fill(_POINTS[(first + 3 * n) % len(_POINTS)], topic, words[n % len(words)])}"
            for n in range(3)
        )
    return f"{opening}\n\n{body}\n\n{closing}"


def long_text(question: str, chars: int = LONG_CHARS_DEFAULT) -> str:
    """Sections with paragraphs, lists and code fences, at least `chars` characters in all."""
    topic = topic_of(question)
    words = keywords(question) or [topic]
    wanted = min(chars, LONG_CHARS_MAX)
    blocks = [f"# {capital(topic)}"]
    length = len(blocks[0])
    section = 0
    while length < wanted:
        section += 1
        word = words[section % len(words)]
        block = _section(topic, word, section)
        blocks.append(block)
        length += len(block) + 2
    return "\n\n".join(blocks)


def _section(topic: str, word: str, section: int) -> str:
    paragraph = _fill(_PARAGRAPHS[section % len(_PARAGRAPHS)], topic, word)
    points = "\n".join(
        f"- {_fill(_POINTS[(section + n) % len(_POINTS)], topic, word)}" for n in range(3)
    )
    block = f"## {section}. {capital(word)}\n\n{paragraph}\n\n{points}"
    if section % 2:
        block += f"\n\n```python\n{_numbered_code(word, section)}\n```"
    return block


def _numbered_code(word: str, section: int) -> str:
    name = slug(word).replace("-", "_")
    name = name if name[0].isalpha() else f"part_{name}"
    return (
        f"def section_{section}_{name}(values: list[int]) -> int:\n"
        f'    """Add up what section {section} counted."""\n'
        f"    total = 0\n"
        f"    for index, value in enumerate(values):\n"
        f"        if value > {section}:\n"
        f"            total += value * (index + {section})\n"
        f"    return total\n\n\n"
        f"print(section_{section}_{name}([3, 1, 4, 1, 5, 9, 2, 6]))"
    )


_SOURCES: Final = (
    ("https://example.com/reports/{slug}", "{Topic}: a report"),
    ("https://example.org/wiki/{slug}", "{Topic} – overview"),
    ("https://www.example.net/news/{slug}", "What is new about {topic}"),
)
_FINDINGS: Final = (
    "The most recent report puts the change at about {number} % within a year",
    "An overview lists {number} points on which the experts agree",
    "A news item of this week sees it more critically and names {number} open questions",
)


def searched(question: str) -> Reply:
    """An answer with sources: links in the text, and citations that point at them."""
    topic = topic_of(question)
    text = f"Here is what I found about **{topic}**:\n"
    citations: list[Citation] = []
    for (url, title), finding in zip(_SOURCES, _FINDINGS, strict=True):
        address = url.format(slug=slug(topic))
        name = _fill(title, topic, topic)
        count = number_from(question + title, 2, 40)
        text += f"\n- {finding.format(number=count)} "
        start = len(text)
        text += f"([{_host(address)}]({address}))"
        citations.append(Citation(url=address, title=name, start=start, end=len(text)))
    text += "\n\nThe sources agree on the direction, less on the speed."
    return Reply(text=text, citations=tuple(citations), query=" ".join(keywords(question)) or topic)


def _host(url: str) -> str:
    return url.split("/")[2].removeprefix("www.")


_TABLES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "planet": (
        ("Planet", "Diameter (km)", "Moons", "Year (days)"),
        ("Mercury", "4,879", "0", "88"),
        ("Venus", "12,104", "0", "225"),
        ("Earth", "12,756", "1", "365"),
        ("Mars", "6,792", "2", "687"),
    ),
    "language": (
        ("Language", "First release", "Typing", "Known for"),
        ("Python", "1991", "dynamic", "readable code"),
        ("Rust", "2015", "static", "memory safety"),
        ("Go", "2012", "static", "simple services"),
        ("JavaScript", "1995", "dynamic", "the browser"),
    ),
}


def table(question: str) -> str:
    """A Markdown table: a known one, or one that compares the words of the question."""
    topic = topic_of(question)
    rows = next((rows for name, rows in _TABLES.items() if name in question.lower()), None)
    if rows is None:
        words = [w for w in keywords(question) if w.lower() not in {"table", "compare", "vs"}]
        header = ("Option", "Strength", "Weakness", "Effort (h)")
        rows = (header, *(_row(question, word) for word in (words or [topic])[:5]))
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "Here is a table:\n\n" + "\n".join(lines) + "\n\nTell me which column matters most."


def _row(question: str, word: str) -> tuple[str, ...]:
    strength = pick(("quick to learn", "well known", "cheap", "robust"), question + word)
    weakness = pick(("needs care", "slow to change", "few experts", "verbose"), word + question)
    return (capital(word), strength, weakness, str(number_from(word, 1, 40)))


_REASONS: Final = (
    "The user asks about {topic}; the wish behind it is probably practical.",
    "I should settle what is meant by {word} before going into detail.",
    "There are two readings; the simpler one fits the wording better.",
    "An example would help, but it must not be longer than the answer.",
    "I will answer in a few points and offer to go deeper.",
)


def thoughts(question: str, sentences: int) -> str:
    """Visible reasoning of this many sentences; empty for none."""
    topic = topic_of(question)
    word = (keywords(question) or [topic])[0]
    return " ".join(_fill(reason, topic, word) for reason in _REASONS[:sentences])
