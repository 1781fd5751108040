"""What a command says where the machine refuses it: one sentence and exit code 2, the home as it was."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from serving.commands.telling import told
from tests.features.bank_files import smallest

ROOT = Path(__file__).parents[2]
MAPPING = """
source: test
instant: 2024-03-05T10:00:00+08:00
tables:
  customer:
    files: [customer.csv]
    columns: {customer_id: id, birth_on: born, registered_on: joined, first_product_on: joined,
              is_staff: {constant: no}, is_restricted: {constant: no}, has_marketing_optout: {constant: no}}
  balance:
    files: [balance.csv]
    snapshots: ends
    columns: {customer_id: id, account_id: account, asset_class: kind, from_on: day, amount: amount,
              in_transit_amount: {constant: 0}, loan_proceeds_amount: {constant: 0}}
"""


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_what_the_machine_refuses_is_told_in_one_sentence(capsys: pytest.CaptureFixture[str], code: int) -> None:
    def command() -> None:
        raise OSError(code, os.strerror(code), "/some/folder")

    with pytest.raises(typer.Exit) as left:
        told(command)()
    assert left.value.exit_code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert os.strerror(code) in said
    assert "/some/folder" in said
    assert "TMPDIR" in said


@pytest.mark.parametrize("error", [OSError(errno.EPIPE, "Broken pipe"), ZeroDivisionError("a defect")])
def test_a_closed_pipe_and_a_defect_are_not_told_as_a_refusal(error: Exception) -> None:
    def command() -> None:
        raise error

    with pytest.raises(type(error)):
        told(command)()


def test_an_import_that_no_file_may_grow_for_stops_with_one_sentence_and_leaves_no_home(tmp_path: Path) -> None:
    smallest(tmp_path / "files", 9000)
    (tmp_path / "bank.yaml").write_text(MAPPING)
    tiercel = f"{sys.executable} -c 'from serving.cli import main; main()'"
    command = f"ulimit -f 40; {tiercel} import bank.yaml files --out home"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "tiercel: the machine refused a file" in done.stderr
    assert not (tmp_path / "home").exists()
