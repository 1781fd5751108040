"""Good banks mangled at random: only our own errors, one sentence, and no good row lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import TiercelError
from tests.features.bank_files import SMALLEST, imported, smallest

N = 60
FILES = ("customer.csv", "balance.csv")
N_EXAMPLES = int(os.environ.get("MANGLED_EXAMPLES", "12"))  # tests/soak/test_mangled_banks.py runs hundreds
OFTEN = settings(max_examples=N_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# what may stand where a field stood: wrong types, hostile text, another alphabet, quotes, breaks, bounds of dates
FIELDS = st.one_of(
    st.sampled_from(["", "NaN", "inf", "-1", "1e400", "0x10", "99999999999999999999", "1900-01-01", "9999-12-31",
                     "2024-13-01", "'; DROP TABLE customer; --", '"', '""', "a\rb", "NULL", "客户", "\x00", "1,5"]),
    st.text(max_size=12),
)  # fmt: skip


def ids(home: Path, table: str) -> set[str]:
    column = {"customer": "customer_id", "balance": "account_id"}[table]
    folder = home / "bank" / table
    return set(pq.read_table(folder)[column].to_pylist()) if folder.exists() else set()


def attempt(folder: Path, home: Path) -> bool:
    """Whether the bank came in; a refusal is one sentence and leaves nothing."""
    try:
        imported(SMALLEST, folder, home)
    except TiercelError as error:
        told = str(error)
    else:
        return True
    assert "\n" not in told
    assert not (home / "bank").exists()
    return False


@OFTEN
@given(place=st.tuples(st.integers(1, N), st.integers(0, 4)), field=FIELDS, file=st.sampled_from(FILES))
def test_one_mangled_field_costs_at_most_its_own_row(place: tuple[int, int], field: str, file: str) -> None:
    with TemporaryDirectory() as made:
        folder = smallest(Path(made) / "files", N)
        lines = (folder / file).read_text().splitlines()
        fields = lines[place[0]].split(",")
        fields[place[1] % len(fields)] = field
        lines[place[0]] = ",".join(fields)
        (folder / file).write_bytes(("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"))
        home = Path(made) / "home"
        if not attempt(folder, home):
            return  # a line more than one is told as one row of 60, within the share; more is not
        at_fault = f"C{place[0] - 1:03d}", f"A{place[0] - 1:03d}"
        others = {f"A{i:03d}" for i in range(N)} - {at_fault[1]}
        assert others <= ids(home, "balance")
        assert {f"C{i:03d}" for i in range(N)} - {at_fault[0]} <= ids(home, "customer")


@OFTEN
@given(cut=st.floats(0, 1), junk=st.binary(max_size=40), file=st.sampled_from(FILES))
def test_bytes_put_anywhere_never_end_in_a_traceback(cut: float, junk: bytes, file: str) -> None:
    with TemporaryDirectory() as made:
        folder = smallest(Path(made) / "files", N)
        data = (folder / file).read_bytes()
        place = int(cut * len(data))
        (folder / file).write_bytes(data[:place] + junk + data[place:])
        attempt(folder, Path(made) / "home")


@OFTEN
@given(cut=st.floats(0, 1), file=st.sampled_from(FILES))
def test_a_file_cut_off_anywhere_keeps_its_whole_lines_or_is_refused(cut: float, file: str) -> None:
    with TemporaryDirectory() as made:
        folder = smallest(Path(made) / "files", N)
        data = (folder / file).read_bytes()[: int(cut * (folder / file).stat().st_size)]
        (folder / file).write_bytes(data)
        home = Path(made) / "home"
        if attempt(folder, home) and file == "balance.csv":
            whole = [line.split(b",")[1].decode() for line in data.split(b"\n")[1:-1]]
            assert set(whole) <= ids(home, "balance")


@OFTEN
@given(repeated=st.lists(st.integers(1, N), max_size=3), order=st.randoms(use_true_random=False))
def test_rows_repeated_and_shuffled_keep_each_row_once(repeated: list[int], order: object) -> None:
    with TemporaryDirectory() as made:
        folder = smallest(Path(made) / "files", N)
        header, *lines = (folder / "balance.csv").read_text().splitlines()
        lines += [lines[i - 1] for i in repeated]
        order.shuffle(lines)  # type: ignore[attr-defined]  # a seeded random.Random
        (folder / "balance.csv").write_text("\n".join([header, *lines]) + "\n")
        home = Path(made) / "home"
        if attempt(folder, home):
            assert pq.read_table(home / "bank" / "balance").num_rows == N
            aside = home / "quarantine" / "balance.parquet"
            n_aside = pq.read_table(aside).num_rows if aside.exists() else 0
            assert n_aside == len(repeated)
        else:
            assert len(repeated) > 0.02 * (N + len(repeated))


def test_a_refused_import_into_a_standing_home_changes_no_byte(tmp_path: Path) -> None:
    home = tmp_path / "home"
    imported(SMALLEST, smallest(tmp_path / "files", N), home)
    before = {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}
    for file in FILES:
        shutil.copy(tmp_path / "files" / file, tmp_path / f"{file}.good")
        (tmp_path / "files" / file).write_text("id\n1\n")
        with pytest.raises(TiercelError, match="file lacks the columns"):
            imported(SMALLEST, tmp_path / "files", home)
        shutil.copy(tmp_path / f"{file}.good", tmp_path / "files" / file)
        assert {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()} == before
