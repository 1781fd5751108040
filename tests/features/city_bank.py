"""Two months of exports of a made-up city bank: GB18030, Chinese headers, 万元, yyyymmdd, joint owners, daily balances.

    python tests/features/city_bank.py exports      writes exports/202501 and exports/202502

The rows are drawn with a fixed seed. January holds a handful of the errors that exports have.
"""

from __future__ import annotations

import random
import sys
from datetime import date, timedelta
from pathlib import Path

N_CUSTOMERS = 400
Row = tuple[str, ...]
MONTHS = {"202501": (date(2025, 1, 1), 31), "202502": (date(2025, 2, 1), 28)}
CUSTOMER = ("客户号", "姓名", "性别", "出生日期", "证件类型", "年收入(万元)", "建档日期")
OWNER = ("账号", "客户号", "角色")
BALANCE = ("数据日期", "账号", "储种", "币种", "余额(元)")
TXN = ("交易流水号", "账号", "交易时间", "摘要", "交易金额", "交易渠道")
BAD_BALANCES: list[Row] = [
    ("20250110", "62220009", "活期", "CNY", "12元"),  # text in a number
    ("20250111", "62229999", "活期", "CNY", "5.00"),  # an account that nobody owns
    ("20350112", "62220011", "活期", "CNY", "5.00"),  # the future
    ("20250113", "62220012", "比特币", "CNY", "5.00"),  # an unknown code
]


def write(path: Path, header: Row, rows: list[Row], delimiter: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\r\n".join(delimiter.join(row) for row in [header, *rows]) + "\r\n"
    path.write_bytes(text.encode("gb18030"))


def export(folder: Path) -> None:
    """Both months below `folder`."""
    chance = random.Random(2025)
    money = [chance.lognormvariate(9.5, 1.7) for _ in range(N_CUSTOMERS)]
    for month, (first, n_days) in MONTHS.items():
        n_customers = N_CUSTOMERS - (20 if month == "202501" else 0)  # twenty customers came in February
        place = folder / month
        write(place / f"客户信息_{month}.csv", CUSTOMER, [_customer(i) for i in range(n_customers)])
        owners = [(f"6222{i:04d}", f"C{i:04d}", "主") for i in range(n_customers)]
        joint = [(f"6222{i:04d}", f"C{i + 1:04d}", "共有") for i in range(0, 40, 4)]
        write(place / "账户关系.txt", OWNER, owners + joint, "|")
        write(place / "客户合并.csv", ("原客户号", "统一客户号"), [("C0007", "C0006")])
        for day in range(n_days):
            on = f"{first + timedelta(days=day):%Y%m%d}"
            money = [m if chance.random() < 0.8 else m * chance.lognormvariate(0, 0.3) for m in money]
            rows: list[Row] = [(on, f"6222{i:04d}", "定期" if i % 5 == 0 else "活期", "CNY", f"{money[i]:.2f}") for i in
                               range(n_customers)]  # fmt: skip
            rows += [row for row in BAD_BALANCES if row[0][4:] == on[4:] and month == "202501"]
            write(place / "余额" / f"{on}.csv", BALANCE, rows)
        write(place / f"交易流水_{month}.csv", TXN, _transactions(chance, first, n_days, n_customers))


def _customer(i: int) -> Row:
    birth = f"{1950 + i % 55}{1 + i % 12:02d}15"
    return (f"C{i:04d}", "客户", "男女"[i % 2], birth, "居民身份证", f"{5 + i % 40}.5", f"{2012 + i % 12}0301")


def _transactions(chance: random.Random, first: date, n_days: int, n_customers: int) -> list[Row]:
    rows: list[Row] = []
    for i in range(n_customers):
        for _ in range(chance.randrange(6)):
            on = first + timedelta(days=chance.randrange(n_days))
            kind = chance.choice(["消费", "消费", "转出", "缴费", "代发"])
            amount = f"{chance.lognormvariate(5, 1):.2f}"
            rows.append((f"{on:%Y%m%d}{len(rows):06d}", f"6222{i:04d}", f"{on:%Y%m%d}103000", kind, amount, "手机银行"))
    return rows


if __name__ == "__main__":
    export(Path(sys.argv[1]))
