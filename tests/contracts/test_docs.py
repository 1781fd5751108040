"""What the documentation names is there, and what is there is documented."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RECORDS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
MAIN = "import sys; sys.argv[0] = 'tiercel'; from serving.cli import main; main()"


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def commands(page: str) -> Iterator[list[str]]:
    """Commands in the fenced blocks of a page, as words; a prompt and what follows a # are left out."""
    for block in re.findall(r"^```(?:sh|bash|shell|console|)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|\||;|\|", line.partition(" #")[0].removeprefix("$ ")):
                yield part.split()


def named(tool: str) -> list[tuple[str, list[str]]]:
    """(page, words after `tool`) for each use of `tool` in the documentation."""
    uses = []
    for path in PAGES:
        for words in commands(path.read_text("utf-8")):
            if words and words[0].rpartition("/")[2] == tool:
                uses.append((name_of(path), words[1:]))
    return uses


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@lru_cache
def help_of(*words: str) -> str:
    run = subprocess.run([sys.executable, "-c", MAIN, *words, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, f"tiercel {' '.join(words)} --help fails: {run.stderr[-500:]}"
    return run.stdout


def leading_names(words: list[str]) -> list[str]:
    """`release rollback r12 --home x` -> release, rollback, r12: up to the first option or value."""
    stop = next((i for i, word in enumerate(words) if not re.fullmatch(r"[a-z][a-z-]*", word)), len(words))
    return words[:stop]


def test_make_targets_that_pages_name_exist() -> None:
    unknown = [
        (page, word)
        for page, words in named("make")
        for word in words
        if "=" not in word and not word.startswith("-") and word not in targets()
    ]
    assert not unknown


def test_commands_that_pages_name_exist() -> None:
    for page, words in named("tiercel"):
        names = leading_names(words)
        if names:
            assert re.search(rf"\b{re.escape(names[0])}\b", help_of()), f"{page}: tiercel has no command {names[0]}"
            text = help_of(names[0])
            for option in (word.partition("=")[0] for word in words if word.startswith("--")):
                deeper = help_of(*names[:2]) if len(names) > 1 and "COMMAND" in text else text
                assert option in deeper, f"{page}: tiercel {' '.join(names)} has no option {option}"


def test_links_between_pages_lead_somewhere() -> None:
    dead = []
    for path in PAGES:
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
            if "://" not in link and not (path.parent / link).exists():
                dead.append((name_of(path), link))
    assert not dead


def test_every_setting_is_documented() -> None:
    """A setting that no page names is found by reading code, at three in the morning."""
    settings = import_module("serving.settings").Settings
    prefix = settings.model_config["env_prefix"]
    lines = []
    for name, field in settings.model_fields.items():
        default = "none" if field.default is None else f"`{field.default}`"
        lines.append(f"| `{prefix}{name.upper()}` | {default} | {field.description} |")
    page = (ROOT / "docs/settings.md").read_text("utf-8")
    assert [line for line in page.splitlines() if line.startswith("| `")] == lines


def test_every_decision_record_is_listed() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text("utf-8")
    assert RECORDS
    assert [name_of(path) for path in RECORDS if f"]({path.name})" not in index] == []


def test_every_dependency_has_its_reason() -> None:
    """A dependency without a reason stays for ever, because nobody knows what breaks without it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    page = (ROOT / "docs/decisions/0004-dependencies.md").read_text("utf-8")
    reasons = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", page, re.MULTILINE))
    extras = [wanted for name, all_of in project["optional-dependencies"].items() if name != "dev" for wanted in all_of]
    assert list(reasons) == project["dependencies"] + extras
    assert all(len(reason.split()) > 3 for reason in reasons.values())


@pytest.mark.parametrize("lock", ["base", "dev", "spark"])
def test_locks_hold_names_versions_and_hashes_only(lock: str) -> None:
    """An address in a lock sends every other machine to a mirror it cannot reach."""
    text = (ROOT / f"requirements/{lock}.lock").read_text("utf-8").replace("\\\n", "")
    pin = re.compile(r"[a-z0-9-]+==[\w.!+]+( ; [\w.'<>=! ]+)?( +--hash=sha256:[0-9a-f]{64})+ *")
    assert [line[:80] for line in text.splitlines() if not pin.fullmatch(line)] == []


def test_the_locks_agree_and_hold_every_dependency() -> None:
    """Two locks that drift apart test one set of packages and ship another."""
    pins = {
        lock: dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / f"requirements/{lock}.lock").read_text(), re.MULTILINE))
        for lock in ("base", "dev", "spark")
    }
    assert pins["base"].items() <= pins["dev"].items()
    assert pins["base"].items() <= pins["spark"].items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for lock, wanted in {
        "base": project["dependencies"],
        "dev": project["dependencies"] + project["optional-dependencies"]["dev"],
        "spark": project["dependencies"] + project["optional-dependencies"]["spark"],
    }.items():
        names = {re.split(r"[\[<>=!~ ]", requirement)[0].lower() for requirement in wanted}
        assert names <= pins[lock].keys()
