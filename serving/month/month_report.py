"""The report of a month-end for people: one HTML page, each step with its sentences and its figures."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse}td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:left}"""
_MOST = 20
_MEASURED = {
    "ours_auc": ("AUC", "AUC"), "plain_auc": ("AUC of the plain model", "简单模型的 AUC"),
    "ours_less_plain_auc": ("AUC less the plain model's", "AUC 减简单模型"),
    "ours_slope": ("calibration slope", "校准斜率"), "ours_ece": ("calibration error (ECE)", "校准误差（ECE）"),
    "ours_recall_at_10": ("recall, top 10 %", "前 10% 召回"), "ours_qini": ("Qini", "Qini"),
    "plain_qini": ("Qini of ranking by response", "按响应排序的 Qini"),
    "ours_less_plain_qini": ("Qini less that", "Qini 减按响应排序"),
    "ours_uplift_at_10": ("effect, top 10 %", "前 10% 增量"),
    "ours_less_everybody": ("conversions a row less telling everybody", "每行转化数减全部告知"),
    "average_effect": ("average effect of telling", "告知的平均效果"),
}  # fmt: skip
_ALIASES = {"champion": "champion 冠军", "challenger": "challenger 挑战者", None: "none 无"}
_MOVED = {
    "BETTER": "better than chance 好于随机", "WORSE": "worse than chance 差于随机",
    "EVEN": "not distinguishable from chance 与随机不可区分",
}  # fmt: skip
_SUMS = {"opening": "期初", "new": "新增", "upsell": "提升", "churn": "流失", "net": "净增", "closing": "期末"}
_PARTS = {"new": "新客", "won_back": "挽回", "woken": "唤醒", "cross_sold": "交叉销售", "grown": "提升", "left": "离开",
          "shrunk": "减少"}  # fmt: skip
_BANDS = {"STABLE": "稳定", "WATCH": "关注", "ACT": "处置", "TOO_FEW": "样本太少"}


def page(month: date, done: Mapping[str, Mapping[str, Any]]) -> str:
    """The page of a month-end whose steps came to `done`; it needs nothing beside it."""
    steps = _table(("step 步骤", "came to", "结果"), ((name, told["says"], _zh(told)) for name, told in done.items()))
    models = done["gates"]["models"].items()
    told = ((name, one["version"], _ALIASES[one["alias"]], one["says"], _zh(one)) for name, one in models)
    gates = _table(("model 模型", "version 版本", "alias 别名", "why", "原因"), told)
    drift = done["drift"]
    figures = {name: one.get("figures", {}) for name, one in models}
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Month-end {month:%Y-%m}</title>'
        f"<style>{_STYLE}</style><h1>Month-end 月结 {month:%Y-%m}</h1>{steps}"
        f"<h2>Models and their gates 模型与准入</h2>{gates}"
        f"<h2>Figures, with 95 % intervals 指标与 95 % 区间</h2>{_figures(figures)}"
        f"<h2>Growth of the base 存量经营</h2>{_growth(done['growth'])}"
        f"<h2>Drift against the month before 与上月比的漂移</h2>{_drifts(drift['month_before'])}"
        f"{''.join(_champion(model, found) for model, found in drift['champions'].items())}</html>"
    )


def _figures(models: Mapping[str, Mapping[str, float]]) -> str:
    """What was measured of each model on its test rows: of effects the Qini, of the others AUC and calibration."""
    rows = (
        (model, *said, _interval(figures, name))
        for model, figures in models.items()
        for name, said in _MEASURED.items()
        if name in figures
    )
    return _table(("model 模型", "figure", "指标", ""), rows)


def _zh(told: Mapping[str, Any]) -> str:
    """The Chinese sentence; a step that was done before a change of version has none."""
    return str(told.get("says_zh", ""))


def _interval(figures: Mapping[str, float], name: str) -> str:
    ends = [figures.get(f"{name}_{end}") for end in ("low", "high")]
    if None in ends:
        return f"{figures[name]:.4f}"
    return f"{figures[name]:.4f} [{ends[0]:.4f}, {ends[1]:.4f}]"


def _growth(told: Mapping[str, Any]) -> str:
    """Net growth of AUM by its parts, and how much of it the champions had foretold."""
    if "parts" not in told:
        return f'<p>{html.escape(str(told["says"]))}</p><p lang="zh-Hans">{html.escape(_zh(told))}</p>'
    parts = (
        (f"{name} {_PARTS[name]}", f"{one['n']:,}", f"{one['amount']:,.0f}") for name, one in told["parts"].items()
    )
    sums = ", ".join(f"{name} {zh} {told[name]:,.0f}" for name, zh in _SUMS.items())
    seen = (
        (model, "–" if one["share"] is None else f"{one['share']:.1%} [{one['low']:.1%}, {one['high']:.1%}]",
         _MOVED[one["says"]], f"{one['n']:,}")
        for model, one in told["foretold"].items()
    )  # fmt: skip
    head = (
        "model 模型",
        "of the money, with the tenth it put first 这些资金中排在最前一成的占比",
        "",
        "customers 客户",
    )
    first = ("part 构成", "customers 客户", "amount 金额")
    return f"<p>{html.escape(sums)}</p>{_table(first, parts)}{_table(head, seen)}"


def _champion(model: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    title = f"Drift against the month that the champion of {html.escape(model)} saw last 与冠军最后所见比"
    return f"<h2>{title}</h2>{_drifts(found)}"


def _drifts(found: Mapping[str, Mapping[str, Any]]) -> str:
    ranked = sorted(found.items(), key=lambda item: -item[1]["psi"])[:_MOST]
    head = ("fact 特征", "PSI", "chance reaches 随机水平", "", "rows before 之前行数", "rows now 现在行数")
    rows = (
        (name, f"{one['psi']:.3f}", f"{one['noise']:.3f}", f"{one['band']} {_BANDS[one['band']]}",
         f"{one['n_before']:,}", f"{one['n_now']:,}")
        for name, one in ranked
    )  # fmt: skip
    return _table(head, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"
