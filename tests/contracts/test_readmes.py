"""Both READMEs say the same: the same commands, the same output, the same figures, the same links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md"))
# What a bank's staff say every day and would look up first.
WORDS = [
    "中收",
    "FTP",
    "净增",
    "名单制",
    "商机",
    "派单",
    "厅堂",
    "消保",
    "企微",
    "时点",
    "日均存款",
    "留白组",
    "增量",
    "边际收益",
    "与最优差距",
    "部门权重",
    "客群格",
    "话术",
    "有效户",
    "客户",
    "360",
]


def blocks(page: str) -> list[str]:
    return re.findall(r"^```.*?^```$", page, re.MULTILINE | re.DOTALL)


def code(page: str) -> set[str]:
    """What stands in single strokes outside the blocks: commands, paths, routes."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)))


def figures(page: str) -> list[list[str]]:
    """The numbers of each row of each table, in order."""
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    return [re.findall(r"[+-]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)", row) for row in rows]


def links(page: str) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)]+)\)", page) if not link.startswith("README")]


def test_the_two_commands_come_first_in_both() -> None:
    assert blocks(ENGLISH)[0] == blocks(CHINESE)[0] == "```console\n$ make demo\n$ make test\n```"


def test_every_block_of_commands_and_output_is_the_same() -> None:
    assert blocks(CHINESE) == blocks(ENGLISH)


def test_every_command_path_and_route_is_named_in_both() -> None:
    assert code(CHINESE) == code(ENGLISH)


def test_every_table_has_the_same_figures_and_every_link_leads_to_the_same_page() -> None:
    assert figures(CHINESE) == figures(ENGLISH)
    assert links(CHINESE) == links(ENGLISH)


def test_each_names_the_other() -> None:
    assert "(README.zh-CN.md)" in ENGLISH
    assert "(README.md)" in CHINESE


def test_the_glossary_has_the_words_of_the_marketing_floor() -> None:
    page = (ROOT / "docs/glossary.md").read_text("utf-8")
    known = " ".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| "))
    assert [word for word in WORDS if word not in known] == []
