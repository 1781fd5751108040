"""A drafted mapping: it parses, imports the files it was drafted from, and gives a reason for every guess."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from features.bank.importing import bring_in
from features.bank.mapping import load
from features.bank.proposing import draft
from features.errors import BadBank
from tests.features.bank_files import write


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "导出"
    people = [
        (f"C{i:03d}", "李", f"19{60 + i % 40}0615", "男女"[i % 2], "身份证", f"{i}.5", "20200101") for i in range(80)
    ]
    header = ("客户号", "姓名", "出生日期", "性别", "证件类型", "年收入(万元)", "开户日期")
    write(folder / "客户信息.csv", [header, *people], encoding="gb18030")
    owners = [(f"6222{i:04d}", f"C{i:03d}", "主") for i in range(80)] + [("62220000", "C001", "共有")]
    write(folder / "账户关系.txt", [("账号", "客户号", "角色"), *owners], delimiter="|", encoding="utf-8-sig")
    for day in ("20240101", "20240102"):
        rows = [(day, f"6222{i:04d}", "活期", f"{i}.00") for i in range(80)]
        write(folder / f"余额{day}.csv", [("数据日期", "账号", "储种", "余额(元)"), *rows])
    write(folder / "合并.csv", [("原客户号", "统一客户号"), ("C005", "C004")])
    write(folder / "天气.csv", [("城市温度", "湿度"), ("3", "4")])
    return folder


def test_the_draft_imports_the_files_it_was_drafted_from(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    path.write_text(draft(files).text, "utf-8")
    done = bring_in(load(path), files, tmp_path / "home")
    assert done.kept == {"customer": 79, "balance": 80}
    assert done.received.aside == []
    balance = pq.read_table(tmp_path / "home" / "bank" / "balance").to_pylist()
    assert {row["customer_id"] for row in balance if row["account_id"] in ("62220004", "62220005")} == {"C004"}
    customer = pq.read_table(tmp_path / "home" / "bank" / "customer").to_pylist()
    assert str(customer[1]["declared_income_amount"]) == "15000.00"


def test_every_guess_has_its_reason_and_what_is_assumed_says_check(files: Path) -> None:
    made = draft(files)
    lines = [line.strip() for line in made.text.splitlines()]
    mapped = yaml.safe_load(made.text)["tables"]["customer"][0]["columns"]
    for name in mapped:
        (line,) = [line for line in lines if line.startswith(f"{name}: ") and "所" not in line][:1]
        assert " # " in line
        assert "constant" not in line or "CHECK" in line
    assert any("80 of 80 values look like yyyymmdd" in line for line in lines)
    assert any("the header says 万元" in line for line in lines)
    assert "# not used: 姓名" in lines
    assert "天气.csv: fits no table: 城市温度, 湿度" in made.remarks


def test_a_folder_in_which_nothing_is_a_bank_is_told(tmp_path: Path) -> None:
    write(tmp_path / "天气.csv", [("城市温度", "湿度"), ("3", "4")])
    with pytest.raises(BadBank, match=r"no file looks like the bank's customers.*天气\.csv: fits no table"):
        draft(tmp_path)
    with pytest.raises(BadBank, match="no such folder"):
        draft(tmp_path / "none")
