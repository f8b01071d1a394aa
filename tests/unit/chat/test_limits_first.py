"""What a member may ask is bounded before anything is held."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.catalogue.loader import load
from bot.chat.checks import check_question, cleaned
from bot.chat.ports import Attachment, Question
from bot.chat.prompt import build
from bot.errors import InvalidInput
from bot.limits import ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX, PROMPT_CHARS_MAX
from bot.text.messages import message

CATALOGUE = load()
files = st.builds(
    Attachment,
    filename=st.text(max_size=20),
    content_type=st.sampled_from(
        ["image/png", "text/plain", "application/pdf", "video/mp4", "audio/ogg", "application/zip"]
    ),
    size_bytes=st.sampled_from([0, 1, ATTACHMENT_BYTES_MAX, ATTACHMENT_BYTES_MAX + 1, 10**12]),
    url=st.just("https://cdn.example/x"),
)
texts = st.one_of(
    st.text(max_size=50),
    st.sampled_from(["x" * PROMPT_CHARS_MAX, "x" * (PROMPT_CHARS_MAX + 1), "\u0301" * 6_000, " "]),
)


@given(
    text=texts,
    attachments=st.one_of(
        st.lists(files, max_size=ATTACHMENTS_MAX + 2),
        files.map(lambda file: [file] * 400),
    ),
    model_id=st.sampled_from([None, *CATALOGUE.chat_models, "nobody"]),
)
def test_any_question_is_refused_with_words_or_has_a_bounded_prompt(
    text: str, attachments: list[Attachment], model_id: str | None
) -> None:
    """F-145: 6,000 characters, 400 pictures, files of gigabytes; the estimate has an upper end."""
    question = cleaned(
        Question(
            reference="m:1",
            channel_id=1,
            guild_id=None,
            author_id=1,
            author_name="Mira",
            text=text,
            attachments=tuple(attachments),
            model_id=model_id,
        )
    )
    try:
        model = check_question(question, CATALOGUE)
    except InvalidInput as error:
        notice = message(error, reference="m:1")
        assert notice.closing.startswith("not charged")
        assert notice.what
        return
    assert len(question.text) <= PROMPT_CHARS_MAX
    assert len(question.attachments) <= ATTACHMENTS_MAX
    prompt = build(model=model, window=(), question=question, now_us=0, bot_name="Atelier")
    assert 0 < prompt.text_tokens <= 1_000 + 3 * PROMPT_CHARS_MAX
    assert prompt.media_tokens <= ATTACHMENTS_MAX * (1_000 + ATTACHMENT_BYTES_MAX // 3)
