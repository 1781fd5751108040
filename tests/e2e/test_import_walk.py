"""The ten minutes of docs/import.md: its commands run as they stand there, and say what stands there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.cli import app
from tests.features import city_bank

ROOT = Path(__file__).parents[2]


def steps() -> list[tuple[str, list[str]]]:
    """Each command of the walk with the lines that it is said to print."""
    text = (ROOT / "docs" / "import.md").read_text("utf-8")
    walk = text.partition("## Ten minutes with a made-up bank")[2].partition("\n## ")[0]
    found: list[tuple[str, list[str]]] = []
    for line in "\n".join(re.findall(r"```\n(.*?)```", walk, re.DOTALL)).splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        elif line.strip():
            found[-1][1].append(line)
    return found


def run(command: str) -> str:
    program, *words = shlex.split(command)
    if program == "python":
        assert words[0] == str(Path(city_bank.__file__).relative_to(ROOT))
        city_bank.export(Path(words[1]))
        return ""
    assert program == "tiercel"
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_stranger_who_follows_the_page_sees_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    walk = steps()
    assert len(walk) == 7
    for command, said in walk:
        printed = run(command)
        for line in said:
            assert line in printed, command


def test_the_next_month_without_add_is_refused_in_one_sentence_and_the_home_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command, _ in steps()[:3]:
        run(command)
    shutil.copytree(".city", "before", symlinks=True)
    refused = CliRunner().invoke(app, ["import", "city.yaml", "exports/202502", "--out", ".city"])
    assert refused.exit_code == 2
    assert "which these files would take away" in refused.output
    assert "add them with --add" in refused.output
    for path in Path("before").rglob("*.*"):
        if path.is_file():
            assert (Path(".city") / path.relative_to("before")).read_bytes() == path.read_bytes()
