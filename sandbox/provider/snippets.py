"""Code that answers "write me some code": real, short and in the language that was asked for."""

from __future__ import annotations

import re
from typing import Final

from sandbox.provider.words import keywords, slug, topic_of

_LANGUAGES: Final = (
    ("python", r"python|\bpy\b"),
    ("javascript", r"javascript|\bjs\b|node"),
    ("bash", r"\bbash\b|shell"),
    ("sql", r"\bsql\b"),
    ("rust", r"\brust\b"),
)

_KNOWN: Final = {
    "fizzbuzz": (
        "def fizzbuzz(limit: int) -> list[str]:\n"
        '    """Count to `limit` in the words of the game."""\n'
        "    words = []\n"
        "    for number in range(1, limit + 1):\n"
        '        word = "Fizz" * (number % 3 == 0) + "Buzz" * (number % 5 == 0)\n'
        "        words.append(word or str(number))\n"
        "    return words\n\n\n"
        "print(fizzbuzz(15))"
    ),
    "fibonacci": (
        "def fibonacci(count: int) -> list[int]:\n"
        '    """The first `count` Fibonacci numbers."""\n'
        "    numbers = [0, 1]\n"
        "    while len(numbers) < count:\n"
        "        numbers.append(numbers[-1] + numbers[-2])\n"
        "    return numbers[:count]\n\n\n"
        "print(fibonacci(10))"
    ),
    "prime": (
        "def is_prime(number: int) -> bool:\n"
        '    """Whether `number` has no divisor but one and itself."""\n'
        "    if number < 2:\n"
        "        return False\n"
        "    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))\n\n\n"
        "print([number for number in range(30) if is_prime(number)])"
    ),
}

_GENERIC: Final = {
    "python": (
        "def {name}(items: list[str]) -> dict[str, int]:\n"
        '    """Count each item, the most frequent first."""\n'
        "    counts: dict[str, int] = {{}}\n"
        "    for item in items:\n"
        "        counts[item] = counts.get(item, 0) + 1\n"
        "    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))\n\n\n"
        'print({name}(["tea", "coffee", "tea"]))'
    ),
    "javascript": (
        "function {name}(items) {{\n"
        "  const counts = new Map();\n"
        "  for (const item of items) {{\n"
        "    counts.set(item, (counts.get(item) ?? 0) + 1);\n"
        "  }}\n"
        "  return [...counts].sort((a, b) => b[1] - a[1]);\n"
        "}}\n\n"
        'console.log({name}(["tea", "coffee", "tea"]));'
    ),
    "bash": (
        "#!/usr/bin/env bash\n"
        "set -euo pipefail\n\n"
        "{name}() {{\n"
        '  sort "$1" | uniq -c | sort -rn | head -n "${{2:-10}}"\n'
        "}}\n\n"
        '{name} "$@"'
    ),
    "sql": (
        "SELECT category, COUNT(*) AS entries, AVG(amount) AS mean_amount\n"
        "FROM {name}\n"
        "WHERE created_at >= DATE('now', '-30 days')\n"
        "GROUP BY category\n"
        "ORDER BY entries DESC;"
    ),
    "rust": (
        "use std::collections::HashMap;\n\n"
        "fn {name}(items: &[&str]) -> HashMap<String, usize> {{\n"
        "    let mut counts = HashMap::new();\n"
        "    for item in items {{\n"
        "        *counts.entry(item.to_string()).or_insert(0) += 1;\n"
        "    }}\n"
        "    counts\n"
        "}}"
    ),
}


def wants_code(question: str) -> bool:
    return bool(
        re.search(
            r"\b(code|snippet|script|function|program|fizzbuzz|fibonacci)\b"
            r"|\b(in|some) (python|javascript|rust|sql|bash)\b",
            question,
            re.IGNORECASE,
        )
    )


def code(question: str) -> str:
    """A fenced block with a sentence before and after it."""
    lowered = question.lower()
    language = next((name for name, word in _LANGUAGES if re.search(word, lowered)), "python")
    known = next((text for name, text in _KNOWN.items() if name in lowered), None)
    if known is not None and language == "python":
        body = known
    else:
        words = [word for word in keywords(question) if word.isascii()]
        name = slug(" ".join(words[:3])).replace("-", "_")
        body = _GENERIC[language].format(name=name if name[0].isalpha() else f"do_{name}")
    return (
        f"Here is a small example for **{topic_of(question)}**:\n\n```{language}\n{body}\n```\n\n"
        "It runs as it stands; say so if you need tests or another language."
    )
