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
from tests.features.bank_files import workbook, write


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


def test_a_header_below_the_title_of_a_report_is_found(files: Path, tmp_path: Path) -> None:
    rows = [(f"6222{i:04d}", 45292, "活期", f"{1000 + i:,}.00  ") for i in range(80)]
    titles = [("某某银行 存款余额表", "", "", ""), ("制表日期：2024-01-01", "", "", "")]
    for path in files.glob("余额*.csv"):
        path.unlink()
    workbook(files / "余额.xlsx", {"余额": [*titles, ("账号", "数据日期", "储种", "余额(元)"), *rows]})
    merged = (files / "合并.csv").read_text()
    (files / "合并.csv").write_text("客户合并清单\n" + merged)
    owners = (files / "账户关系.txt").read_bytes()
    (files / "账户关系.txt").write_bytes("账户持有人\n".encode("utf-8-sig") + owners.removeprefix(b"\xef\xbb\xbf"))
    made = draft(files)
    assert "余额.xlsx: taken for balance by 4 of 4 headers; its header stands in row 3" in made.remarks
    path = tmp_path / "draft.yaml"
    path.write_text(made.text, "utf-8")
    done = bring_in(load(path), files, tmp_path / "home")
    assert done.kept == {"customer": 79, "balance": 80}
    assert done.received.aside == []
    balance = pq.read_table(tmp_path / "home" / "bank" / "balance").to_pylist()
    assert {(row["from_on"].isoformat(), str(row["amount"])[-3:]) for row in balance} == {("2024-01-01", ".00")}
    assert max(row["amount"] for row in balance) == 1079


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


def test_of_many_files_of_one_kind_the_first_and_the_last_are_told(files: Path) -> None:
    for day in range(10, 15):
        (files / f"余额202401{day}.csv").write_bytes((files / "余额20240102.csv").read_bytes())
    assert "余额20240101.csv … 余额20240114.csv (7 files): taken for balance by 4 of 4 headers" in draft(files).remarks


def test_a_folder_in_which_nothing_is_a_bank_is_told(tmp_path: Path) -> None:
    write(tmp_path / "天气.csv", [("城市温度", "湿度"), ("3", "4")])
    with pytest.raises(BadBank, match=r"no file looks like the bank's customers.*天气\.csv: fits no table"):
        draft(tmp_path)
    with pytest.raises(BadBank, match="no such folder"):
        draft(tmp_path / "none")


IDS = [f"C{i:03d}" for i in range(60)]
# a city bank's usual exports: file -> header, one row of customer C000 (the others alike), and the table it is
CHINESE = {
    "客户信息.csv": (
        "客户号 姓名 性别 出生日期 证件类型 建档日期",
        "{c} 李 女 19800615 居民身份证 20200101",
        "customer",
    ),
    "日余额.csv": ("数据日期 客户号 账号 储种 币种 余额(元)", "20240301 {c} 6222{c} 活期 CNY 10.50", "balance"),
    "理财持仓.csv": (
        "持仓编号 客户号 产品代码 认购日期 到期日 认购金额(万元)",
        "H{c} {c} P02 20240105 20250105 5",
        "holding",
    ),
    "交易流水.csv": (
        "交易流水号 客户号 交易时间 摘要 交易金额 交易渠道",
        "T{c} {c} 20240301101500 代发 9000.00 手机银行",
        "txn",
    ),
    "贷款借据.csv": (
        "借据号 客户号 贷款品种 放款日期 贷款到期日 结清日期 贷款金额(万元)",
        "L{c} {c} P21 20230101 20260101 99991231 20",
        "loan",
    ),
    "信用卡.csv": ("信用卡号 客户号 卡产品 开卡日期 信用额度", "4{c} {c} P19 20230601 30000", "loan"),
    "借记卡.csv": ("卡号 客户号 账户类别 开卡日期", "6{c} {c} I类 20200101", "account"),
    "外呼触达.csv": (
        "触达编号 客户号 活动编号 触达渠道 触达目的 发送时间",
        "X{c} {c} M1 短信 营销 20240302090000",
        "contact",
    ),
    "行为日志.csv": (
        "日志编号 客户号 操作时间 登录渠道 行为类型",
        "E{c} {c} 20240302080000 手机银行 登录",
        "channel_event",
    ),
    "授权书.csv": (
        "授权编号 客户号 授权类型 授权渠道 是否同意 授权时间",
        "A{c} {c} 营销 短信 同意 20230101120000",
        "consent",
    ),
    "风评.csv": (
        "客户号 评估日期 风险等级 投资者类型 有效期至",
        "{c} 20230701 C3 普通投资者 20240701",
        "risk_assessment",
    ),
    "签约业务.csv": ("客户号 业务代码 签约日期", "{c} P24 20230701", "service_activation"),
    "投诉工单.csv": ("投诉编号 客户号 受理时间 投诉类型 投诉等级", "K{c} {c} 20240101090000 费用 2", "complaint"),
}
ENGLISH = {
    "cust_info.csv": ("cust_id gender dob id_type open_date", "{c} F 1980-06-15 身份证 2020-01-01", "customer"),
    "balances.csv": ("data_dt cust_id acct_no deposit_type ccy bal", "2024-03-01 {c} A{c} DEMAND CNY 1.5", "balance"),
    "positions.csv": (
        "position_id cust_id prod_code purchase_date maturity_date buy_amt",
        "H{c} {c} P02 2024-01-05 2025-01-05 5000",
        "holding",
    ),
    "txn_2024.csv": ("tran_no cust_id tran_time tran_type tran_amt", "T{c} {c} 2024-03-01T10:15:00 SALARY 9000", "txn"),
    "loan.csv": ("loan_no cust_id loan_type loan_date due_date loan_amt", "{c} {c} P21 2023-1-1 2026-1-1 9", "loan"),
    "credit_cards.csv": ("card_no cust_id card_type issue_date credit_limit", "4{c} {c} P19 2023-06-01 3000", "loan"),
    "contacts.csv": ("touch_id cust_id channel purpose send_time", "X{c} {c} SMS SALES 2024-03-02T09:00:00", "contact"),
    "event.csv": ("log_id cust_id event_time channel action", "{c} {c} 2024-03-02T08:00:00 APP LOGIN", "channel_event"),
    "consents.csv": ("consent_id cust_id consent_type granted consent_time", "A{c} {c} MARKETING Y 2023-01-01T12:00:00",
                     "consent"),
    "risk.csv": ("cust_id assess_date risk_grade expire_date", "{c} 2023-07-01 3 2024-07-01", "risk_assessment"),
}  # fmt: skip


@pytest.mark.parametrize(("bank", "encoding"), [(CHINESE, "gb18030"), (ENGLISH, "utf-8")], ids=["chinese", "english"])
def test_the_usual_exports_are_each_taken_for_their_table_and_the_draft_imports_them_as_it_is(
    tmp_path: Path, bank: dict[str, tuple[str, str, str]], encoding: str
) -> None:
    for name, (header, row, _) in bank.items():
        write(tmp_path / "files" / name, [header.split(), *(row.format(c=c).split() for c in IDS)], encoding=encoding)
    made = draft(tmp_path / "files")
    taken = {remark.partition(":")[0]: remark.partition("taken for ")[2].split(" ")[0] for remark in made.remarks}
    assert taken == {name: table for name, (_, _, table) in bank.items()}
    (tmp_path / "bank.yaml").write_text(made.text, "utf-8")
    done = bring_in(load(tmp_path / "bank.yaml"), tmp_path / "files", tmp_path / "home")
    assert done.received.aside == []
    tables = [table for _, _, table in bank.values()]
    assert done.kept == {table: 60 * tables.count(table) for table in done.kept}
    assert set(done.kept) == set(tables)
    loans = pq.read_table(tmp_path / "home" / "bank" / "loan").to_pylist()
    assert sum(row["ends_on"] is None for row in loans) == 60  # a card has no contract end


def test_money_in_another_currency_is_left_out_by_the_draft_and_said(tmp_path: Path) -> None:
    for name, (header, row, _) in list(CHINESE.items())[:2]:
        write(tmp_path / name, [header.split(), *(row.format(c=c).split() for c in IDS)])
    with (tmp_path / "日余额.csv").open("a") as file:
        file.write("20240301,C000,USD-1,活期,USD,70000.00\n")
    text = draft(tmp_path).text
    assert "keep: [{column: 币种, one_of: [CNY]}]  # USD left out: CHECK" in text
    (tmp_path / "bank.yaml").write_text(text, "utf-8")
    done = bring_in(load(tmp_path / "bank.yaml"), tmp_path, tmp_path / "home")
    assert "balance: 1 rows left out by the mapping's own choice" in done.notes
    assert done.kept["balance"] == 60


def test_a_header_that_stands_twice_is_told_and_taken_for_nothing(tmp_path: Path) -> None:
    write(tmp_path / "客户.csv", [("客户号", "建档日期", "备注", "备注"), ("C1", "20200101", "a", "b")])
    made = draft(tmp_path)
    assert "客户.csv: the header names 备注 twice; taken for nothing" in made.remarks
    (tmp_path / "bank.yaml").write_text(made.text, "utf-8")
    assert bring_in(load(tmp_path / "bank.yaml"), tmp_path, tmp_path / "home").kept == {"customer": 1}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "~", "\x01", "^", "||", "|+|", "|@|", "@|@", "~|~"])
def test_delimiters_of_bank_exports_are_found_out(tmp_path: Path, delimiter: str) -> None:
    rows = [("客户号", "姓名", "建档日期"), *((f"C{i}", "", "20200101") for i in range(5))]
    write(tmp_path / "客户.txt", rows, delimiter=delimiter, encoding="gb18030")
    (tmp_path / "bank.yaml").write_text(draft(tmp_path).text, "utf-8")
    assert bring_in(load(tmp_path / "bank.yaml"), tmp_path, tmp_path / "home").kept == {"customer": 5}
