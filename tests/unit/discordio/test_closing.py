"""What stands under a finished answer."""

from __future__ import annotations

import pytest

from bot.chat.ports import Ending, FinalAnswer, Receipt
from bot.discordio.closing import final_pages
from bot.discordio.render import width
from bot.errors import StreamCut
from bot.limits import MESSAGE_CHARS_MAX, SOURCES_SHOWN_MAX
from bot.providers.base import Citation

RECEIPT = Receipt(model_label="GPT-5.4", charged_ucr=80_000, available_ucr=19_920_000)
FOOTER = "-# GPT-5.4 · charged 0.08 credits · 19.92 left"


def closed(
    text: str,
    *,
    ending: Ending = Ending.COMPLETE,
    sources: tuple[Citation, ...] = (),
    receipt: Receipt | None = RECEIPT,
    error: Exception | None = None,
    demo: bool = False,
) -> list[str]:
    final = FinalAnswer(text=text, ending=ending, sources=sources, receipt=receipt, error=error)
    return final_pages(final, reference="m:1", demo=demo)


def test_the_price_stands_under_the_last_page() -> None:
    """Model, price, what is left."""
    assert closed("Hi.") == [f"Hi.\n{FOOTER}"]


def test_small_print_that_does_not_fit_becomes_a_message() -> None:
    """The answer itself is never shortened for it."""
    text = "x" * MESSAGE_CHARS_MAX

    assert closed(text) == [text, FOOTER]


@pytest.mark.parametrize(
    ("ending", "note"),
    [
        (Ending.STOPPED, "*Stopped.*"),
        (Ending.LENGTH, "*The answer reached its greatest length. Ask me to go on.*"),
        (
            Ending.CREDITS,
            "*Your credits ended here. `/credits balance` says when there are more.*",
        ),
        (
            Ending.BUDGET,
            "*The server's budget ended here. Its staff can raise it with `/quota budget`.*",
        ),
        (Ending.INSTALLATION, "*The bot's own budget ended here. You still have credits.*"),
    ],
)
def test_an_early_end_is_named(ending: Ending, note: str) -> None:
    """Between the words and the price."""
    assert closed("Hi.", ending=ending) == [f"Hi.\n{note}\n{FOOTER}"]


def test_an_answer_without_words_says_so() -> None:
    """Never an empty message."""
    assert closed("  ") == [f"*The model ended without a word.*\n{FOOTER}"]


def test_an_answer_without_a_receipt_has_no_price() -> None:
    """Nothing is made up."""
    assert closed("Hi.", receipt=None) == ["Hi."]


def test_a_failure_keeps_the_words_and_tells_its_reason_and_the_balance() -> None:
    """Ask 15: the new balance stands in the notice."""
    unpaid = Receipt(model_label="GPT-5.4", charged_ucr=0, available_ucr=20_000_000)
    (page,) = closed(
        "Half", ending=Ending.FAILED, error=StreamCut(provider="x"), receipt=unpaid, demo=True
    )

    assert page.startswith("Half\n**Interrupted**\n")
    assert "not charged · ref " in page
    assert page.endswith(" · 20 left · demo")


def test_a_failure_without_a_reason_is_a_mistake_of_ours() -> None:
    """And still ends in a notice."""
    (page,) = closed("", ending=Ending.FAILED, receipt=None)

    assert page.startswith("**That was my mistake**")


def test_sources_are_numbered_with_their_real_hosts() -> None:
    """Titles are the web's words: no markup survives, and no line break."""
    sources = (
        Citation(url="https://en.example.org/wiki/Moon", title="The [Moon]\n*x*"),
        Citation(url="https://e.org/a", title=""),
        Citation(url="https://e.org/b)c d", title="Odd"),
        Citation(url="javascript:alert(1)", title="Bad"),
    )
    (page,) = closed("Hi.", sources=sources)

    assert page.split("\n")[1:-1] == [
        "-# 1. [The Moonx](<https://en.example.org/wiki/Moon>) (en.example.org)",
        "-# 2. [e.org](<https://e.org/a>)",
        "-# 3. Odd (e.org)",
    ]


def test_many_long_sources_take_messages_of_their_own() -> None:
    """A bounded number, packed, none too long."""
    sources = tuple(
        Citation(url=f"https://e.org/{number}/" + "x" * 300, title="t" * 200)
        for number in range(30)
    )
    first, *rest = closed("Hi.", sources=sources)

    assert first == "Hi."
    assert len(rest) == 2
    assert all(width(page) <= MESSAGE_CHARS_MAX for page in rest)
    assert f"-# {SOURCES_SHOWN_MAX}. " in rest[-1]
    assert f"-# {SOURCES_SHOWN_MAX + 1}. " not in rest[-1]
    assert rest[-1].endswith(FOOTER)
