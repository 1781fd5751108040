"""The rules of the house that no other tool holds. Each tells the accident it prevents."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("features", "training", "decisioning", "insight", "serving", "simulation")
LONGEST_FILE = 400
NOT_OURS = {"build", "dist", "mlruns", "__pycache__", "node_modules"}


def walk(folder: Path) -> Iterator[Path]:
    """Files of the project below `folder`: no hidden folders (but .ci), nothing that a build or a run leaves behind."""
    for path in sorted(folder.iterdir()):
        if path.is_file():
            yield path
        elif not (path.name in NOT_OURS or path.suffix == ".egg-info" or path.name.startswith(".")):
            yield from walk(path)
    if folder == ROOT:
        yield from walk(ROOT / ".ci")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


FILES = list(walk(ROOT))
PYTHON = [path for path in FILES if path.suffix == ".py"]
PRODUCT = [path for path in PYTHON if name_of(path).split("/")[0] in ROOMS]
PACKAGES = [path for path in PRODUCT if path.name == "__init__.py"]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), name_of(path))


def imported(path: Path) -> Iterator[str]:
    """Full names of all modules that `path` imports, wherever the import stands."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def importers(library: str) -> set[str]:
    return {name_of(p) for p in PRODUCT if any(name.split(".")[0] == library for name in imported(p))}


def calls(path: Path) -> Iterator[str]:
    """Dotted names of all that `path` calls."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def outside(names: Iterable[str], allowed: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not any(fnmatch(name, pattern) for pattern in allowed))


def test_no_python_in_mlflow() -> None:
    """With an __init__.py our mlflow/ shadows the library: every `import mlflow` from the root would find a folder."""
    assert not [name_of(path) for path in PYTHON if name_of(path).startswith("mlflow/")]


def test_no_packages_under_tests() -> None:
    """tests/features/__init__.py makes pytest import the tests' folder in place of the real package `features`."""
    assert not [name_of(path) for path in PYTHON if name_of(path).startswith("tests/") and path.name == "__init__.py"]


def test_pyproject_names_every_package() -> None:
    """A folder that is missing from the list works from the root and is absent from the installed package."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    on_disk = {name_of(path.parent).replace("/", ".") for path in PRODUCT}
    assert set(listed) == on_disk
    assert len(listed) == len(set(listed))


def test_every_package_has_an_init() -> None:
    """A folder without one is a namespace package: tools that walk packages (mypy, import-linter) pass it by."""
    assert not [name_of(path.parent) for path in PRODUCT if not (path.parent / "__init__.py").exists()]


def test_no_module_is_named_like_a_library() -> None:
    """Run by path, a module has its own folder first on sys.path: training/feast.py would then be `import feast`."""
    libraries = set(packages_distributions()) - set(ROOMS)
    clashes = {name_of(p) for p in PYTHON if p.stem in libraries or p.parent.name in libraries - {"docs", "tests"}}
    assert not clashes


def test_no_file_is_too_long() -> None:
    """Past 400 lines nobody reads a file whole, and the second idea in it goes unseen."""
    lengths = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in PYTHON}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FILE}


def test_no_file_is_named_for_nothing() -> None:
    """Such names say nothing of what is inside, so everything ends up there."""
    empty = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "misc"}
    assert not [name_of(path) for path in PYTHON if {path.stem, path.parent.name} & empty]


def is_plain(node: ast.stmt) -> bool:
    """An import, a docstring, or a literal given a name: a list of names may stand in an __init__, work may not."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if not isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) or node.value is None:
        return False
    try:
        ast.literal_eval(node.value)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("path", PACKAGES, ids=name_of)
def test_an_init_computes_nothing(path: Path) -> None:
    """Importing any module runs every __init__ above it: work there is paid by the CLI's --help."""
    module = tree(path)
    assert ast.get_docstring(module), "an __init__ says in its docstring what the package is for"
    assert not [ast.unparse(node) for node in module.body if not is_plain(node)]


def test_models_and_state_are_plain_data() -> None:
    """Unpickling runs code: whoever can write a model file would own the server."""
    forbidden = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
    assert not [name_of(p) for p in PRODUCT if {name.split(".")[0] for name in imported(p)} & forbidden]


def test_one_clock() -> None:
    """A second clock makes a replayed decision differ from the first, and a simulated home age with the wall."""
    clock = re.compile(
        r"(^|\.)(datetime|date)\.(now|utcnow|today)$|^time\.(time|time_ns|localtime|gmtime)$|^ibis\.now$"
    )
    users = {name_of(p) for p in PRODUCT if any(clock.search(call) for call in calls(p))}
    assert not outside(users, ["serving/settings.py"])


def test_one_reader_of_the_environment() -> None:
    """A variable read elsewhere is documented nowhere and changes results without trace.

    Two files set some: MLflow takes its retries and timeouts from nowhere else, and Spark the Python of its workers.
    """
    uses = re.compile(r"\bos\.(environ|getenv|putenv)\b|from os import .*\b(environ|getenv)\b")
    sets = re.compile(r"\bos\.environ\.(update|setdefault)\(")
    texts = {name_of(path): ast.unparse(tree(path)) for path in PRODUCT}
    assert not outside(
        (name for name, text in texts.items() if uses.search(sets.sub("", text))), ["serving/settings.py"]
    )
    assert not outside((name for name, text in texts.items() if sets.search(text)),
                       ["training/tracking.py", "features/bank/spark_engine.py"])  # fmt: skip


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("mlflow", ["training/tracking.py", "training/registry.py", "training/*pyfunc*.py"]),
        ("feast", ["features/feast_*.py"]),
        ("lightgbm", ["training/boosting.py", "serving/scorer.py", "training/*pyfunc*.py"]),
    ],
)
def test_heavy_libraries_are_reached_at_their_place_only(library: str, allowed: list[str]) -> None:
    """Feast takes 6 s to import and MLflow stalls when its server is down: neither may creep onto the request path."""
    assert not outside(importers(library), allowed)


def spelled(*parts: str) -> str:
    """A pattern put together here, so that this file does not contain what it looks for."""
    return "".join(parts)


MACHINE = (
    spelled(r"(?<![\w.])/(?:wo", "rk|fa", "rm|ro", "ot|o", "pt)/"),
    spelled("/tmp/ba", "sh_jobs"),
    spelled("/Us", r"ers/\w+/"),
)
REGISTRIES = (
    spelled("python", "hosted"),
    spelled("py", r"pi\.org"),
    spelled("npm", r"js\.(?:org|com)"),
    spelled(r"deb\.deb", "ian"),
    spelled("(?<!no-emit)-index", "-url"),
    spelled("(?<!no-emit)-find", "-links"),
)
FOREIGN = (
    spelled(r"\bTO", r"DO\b"),
    spelled(r"\bFIX", r"ME\b"),
    spelled("seed_", "rows"),
    spelled(r"corrections\.", "md|source: correc", "tions"),
    spelled(r"OPERATIONS\.", "md"),
    spelled(r"default_policy\.", "(?:md|yaml)"),
    spelled(r"\b(?:Cla", "ude|Anth", "ropic|Chat", "GPT|Open", "AI|Co", r"pilot)\b"),
    spelled(r"\b[Aa]s an A", r"I\b"),
    spelled(r"\b[Ll]anguage mo", r"del\b"),
)


def hits(text: str, patterns: Iterable[str]) -> list[str]:
    return [match[0] for match in re.finditer("|".join(patterns), text)]


@pytest.mark.parametrize(
    ("accident", "patterns"),
    [
        ("a path of one machine breaks every other clone", MACHINE),
        ("a registry address overrides the one that the reader's machine is set to", REGISTRIES),
        ("the project speaks of itself alone, and of what is there", FOREIGN),
    ],
    ids=["machine", "registries", "foreign"],
)
def test_nothing_foreign_in_any_file(accident: str, patterns: tuple[str, ...]) -> None:
    found = []
    for path in FILES:
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{name_of(path)}: {hit!r}" for hit in hits(text, patterns)]
    assert not found, accident


def test_what_is_foreign_is_recognised() -> None:
    assert hits(spelled("see /wo", "rk/notes and /ro", "ot/x"), MACHINE)
    assert hits(spelled("pip install -", "-index", "-url https://py", "pi.org/simple"), REGISTRIES)
    assert hits(spelled("# TO", "DO later"), FOREIGN)
    assert not hits(
        spelled("docs/wo", "rk/plan, network/, root, a todo list, the optimum"), MACHINE + REGISTRIES + FOREIGN
    )
