"""Pages of an answer: nothing lost, nothing broken, whatever the model writes."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.discordio.markdown import clean, discord_line, host_of
from bot.discordio.render import FENCE, pages, width

LIMITS = st.sampled_from([100, 137, 300, 2_000])

PIECES = st.sampled_from(
    [
        "word ",
        "A sentence ends here. ",
        "\n",
        "\n\n",
        "```python\n",
        "```\n",
        "\n```\n",
        "~~~\n",
        "````md\n",
        "```",
        "``",
        "`",
        "x" * 90,
        "| a | b |\n",
        "|---|---|\n",
        "| 1 | 2 |\n",
        "[text](https://example.org/a_(b))",
        "](",
        "# Title\n",
        "##### Deep\n",
        "-# small\n",
        "@everyone <@1> ",
        "👩‍👩‍👧",
        "é\u0301\u0301\u0301\u0301\u0301\u0301",
        "\u202e\u200b",
        "\ud83d",
        "  ",
        "\t",
    ]
)
PATHOLOGICAL = st.one_of(
    st.lists(PIECES, max_size=120).map("".join),
    st.text(max_size=600),
    st.text(alphabet="`~\n a|-", max_size=400),
    st.builds(
        lambda char, count: char * count, st.sampled_from("`~x| \n#👩"), st.integers(0, 4000)
    ),
)
TAME = st.lists(
    st.sampled_from(
        ["word ", "Longer words, too. ", "\n", "\n\n", "\n```py\nprint(1)\n```\n", "y" * 120, "é "]
    ),
    max_size=200,
).map("".join)


def fences_are_balanced(page: str) -> bool:
    return page.count(FENCE) % 2 == 0


def letters(text: str) -> str:
    return "".join(char for char in text if not char.isspace())


@given(PATHOLOGICAL, LIMITS)
@settings(max_examples=400, deadline=None)
def test_every_page_fits_is_not_empty_and_has_whole_fences(text: str, limit: int) -> None:
    """Discord refuses longer and empty messages, and an open fence swallows what follows."""
    for page in pages(text, limit):
        assert width(page) <= limit
        assert page.strip()
        assert fences_are_balanced(page)
        assert not re.search("[\u200b\u202e\ud800-\udfff]", page)


@given(TAME, LIMITS)
@settings(max_examples=200, deadline=None)
def test_nothing_is_lost_or_added_but_fences(text: str, limit: int) -> None:
    """Without fences, the letters of all pages are the letters of the answer, in order."""
    shown = "".join(
        letters(page).replace("```py", "").replace("```", "") for page in pages(text, limit)
    )

    assert shown == letters(text).replace("```py", "").replace("```", "")


@given(TAME, st.integers(min_value=0), LIMITS)
@settings(max_examples=200, deadline=None)
def test_only_the_last_page_changes_while_the_text_grows(text: str, cut: int, limit: int) -> None:
    """Finished pages stay as they are, so that streaming edits one message."""
    early = pages(text[: cut % (len(text) + 1)], limit)

    assert pages(text, limit)[: max(len(early) - 1, 0)] == early[:-1]


def test_a_short_answer_is_one_page_as_written() -> None:
    """Plain Markdown that Discord knows goes through untouched."""
    text = "# Hi\n\n- **bold** and `code`\n> quote\n\n```py\nprint(1)\n```\ndone"

    assert pages(text) == [text]


def test_nothing_makes_no_page() -> None:
    """An answer of blanks is no message."""
    assert pages("") == []
    assert pages(" \n\u200b\n") == []


def test_a_fence_over_a_border_is_closed_and_opened_again_with_its_language() -> None:
    """Both halves stay code."""
    code = "\n".join(f"line_{number} = {number}" for number in range(60))
    first, second, *_ = pages(f"```python\n{code}\n```", 400)

    assert first.startswith("```python\n")
    assert first.endswith("\n```")
    assert second.startswith("```python\nline_")


def test_nine_thousand_characters_of_code_arrive_whole() -> None:
    """Issue 2, proof: every line of a long program is on some page."""
    lines = [f"    value_{number:04} = compute({number})" for number in range(260)]
    shown = "\n".join(pages("```py\n" + "\n".join(lines) + "\n```"))

    assert [line for line in shown.split("\n") if "compute" in line] == lines


def test_a_fence_inside_a_longer_fence_does_not_close_it() -> None:
    """Discord knows only three backticks, so the inner ones become tildes."""
    assert pages("````md\n```py\nx\n```\n````\nafter") == ["```md\n~~~py\nx\n~~~\n```\nafter"]


def test_a_tilde_fence_becomes_one_that_discord_knows() -> None:
    """`~~~` shows as it is in Discord."""
    assert pages("~~~js\nlet a\n~~~") == ["```js\nlet a\n```"]


def test_a_fence_that_begins_behind_words_gets_its_own_line() -> None:
    """Models write it inside list items; the code below must not turn inside out."""
    assert pages("1. Run: ```bash\nls\n```\nok") == ["1. Run:\n```bash\nls\n```\nok"]


def test_a_heading_is_not_left_at_the_end_of_a_page() -> None:
    """It goes with what it announces."""
    first, second = pages("x" * 70 + "\n# Title\n" + "y" * 60, 100)

    assert first == "x" * 70
    assert second.startswith("# Title\n")


def test_a_page_ends_at_a_paragraph_when_it_is_mostly_full() -> None:
    """Readers see whole thoughts."""
    first, second = pages("a" * 70 + "\n\n" + "b" * 20 + "\n" + "c" * 40, 100)

    assert first == "a" * 70
    assert second == "b" * 20 + "\n" + "c" * 40


def test_a_long_line_is_cut_behind_a_sentence_or_a_word() -> None:
    """Never within a word when a space is near."""
    words = "one two three four five six seven eight nine ten. "
    first, second, *_ = pages(words * 6, 120)

    assert first.endswith("ten.")
    assert second.startswith("one")


def test_joined_emoji_stay_whole() -> None:
    """A family is one picture, not three."""
    family = "👩‍👩‍👧"
    assert all(page.count("👩") == 2 * page.count("👧") for page in pages(family * 40, 100))


def test_an_astral_character_counts_as_two() -> None:
    """Whichever way Discord counts, the page is accepted."""
    assert [width(page) for page in pages("👾" * 60, 100)] == [100, 20]


def test_a_table_becomes_an_aligned_code_block() -> None:
    """Columns line up, markup and links inside cells become words."""
    table = "| Name | Price |\n|:--|--:|\n| **Tea** | 3 |\n| [Cocoa](https://e.org) | 14 |"

    expected = (
        "```\n"
        "Name                  │ Price\n"
        "──────────────────────┼──────\n"
        "Tea                   │ 3\n"
        "Cocoa (https://e.org) │ 14\n"
        "```"
    )
    assert pages(table) == [expected]


def test_wide_letters_take_two_columns() -> None:
    """Alignment holds for East Asian text."""
    (page,) = pages("|a|b|\n|-|-|\n|日本|x|\n|abcd|y|")
    rows = page.split("\n")[3:5]

    columns = [
        sum(2 if unicodedata.east_asian_width(char) == "W" else 1 for char in row.split("│")[0])
        for row in rows
    ]
    assert columns == [5, 5]


def test_a_table_too_wide_for_a_phone_becomes_a_list() -> None:
    """One line per row, every cell with its column's name."""
    cell = "long words " * 8
    (page,) = pages(f"| Name | Text |\n|---|---|\n| A | {cell} |\n| B | {cell} |")

    assert page.split("\n")[0].startswith("- Name: A · Text: long words")
    assert FENCE not in page


def test_a_long_table_is_cut_between_rows_and_repeats_its_header() -> None:
    """Each page of it can be read by itself."""
    rows = "\n".join(f"| {number} | value {number} |" for number in range(60))
    shown = pages(f"| Key | Value |\n|---|---|\n{rows}", 500)

    assert all(page.startswith("```\nKey") for page in shown)
    assert sum(page.count("value") for page in shown) == 60


def test_a_line_with_a_bar_is_no_table() -> None:
    """Only a header with its rule is one."""
    assert pages("a | b\nc | d") == ["a | b\nc | d"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[here](https://example.org/x)", "[here](<https://example.org/x>) (example.org)"),
        (
            "[a](https://paypal.com@evil.example/)",
            "[a](<https://paypal.com@evil.example/>) (evil.example)",
        ),
        ("[https://bank.example](https://evil.example)", "<https://evil.example>"),
        ("[bank.example](https://evil.example)", "<https://evil.example>"),
        ("![cat](https://e.org/c.png)", "[cat](<https://e.org/c.png>) (e.org)"),
        ("[x](javascript:alert)", "\\[x](javascript:alert)"),
        ("[x](https://bücher.example)", "[x](<https://bücher.example>) (xn--bcher-kva.example)"),
        ("`[x](https://e.org)`", "`[x](https://e.org)`"),
        ("f(x)[0](1)", "f(x)\\[0](1)"),
        ("[x](https://[)", "\\[x](https://[)"),
    ],
)
def test_a_masked_link_shows_where_it_really_goes(written: str, shown: str) -> None:
    """The text of a link cannot pose as another address; code spans are left alone."""
    assert discord_line(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("#### Deep", "**Deep**"),
        ("###### **Deep** ##", "**Deep**"),
        ("#### ", ""),
        ("-# charged 0 credits", "\\-# charged 0 credits"),
        ("# Title", "# Title"),
    ],
)
def test_lines_are_put_in_discords_dialect(written: str, shown: str) -> None:
    """Deep headings become bold, and small print is the bot's alone."""
    assert discord_line(written) == shown


def test_invisible_characters_and_floods_of_marks_go() -> None:
    """F-143: shown cleaned, joiners kept."""
    assert clean("a\u202eb\u200bc\x00\r\nd") == "abc\nd"
    assert clean("e" + "\u0301" * 50) == "e" + "\u0301" * 4
    assert clean("👩\u200d👧") == "👩\u200d👧"
    assert clean("\ud83d!") == "\ufffd!"


def test_a_host_that_cannot_be_written_in_ascii_is_no_host() -> None:
    """Then the link is not masked at all."""
    assert host_of("https://" + "ü" * 80 + ".example") is None
    assert host_of("ftp://e.org") is None


def test_a_line_of_mostly_blanks_is_not_cut_in_its_words() -> None:
    """Blanks at its end are nothing to show."""
    assert pages("x" + " " * 300, 100) == ["x"]


def test_a_row_too_long_for_a_message_leaves_the_table_as_written() -> None:
    """Nothing of it is lost."""
    cell = "y" * 400
    shown = "".join(pages(f"|a|b|\n|-|-|\n|1|{cell}|", 100))

    assert shown.count("y") == 400


def test_a_flood_of_joiners_is_cut_somewhere() -> None:
    """Whole characters are kept only while they are of a sane length."""
    assert all(width(page) <= 100 for page in pages("a" + "\u200d" * 300, 100))
