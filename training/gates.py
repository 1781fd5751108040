"""The gates before champion, one small function each: every one is printed with its figure and its limit.

    beats_constant  ranks better than chance, to one in a thousand       calibration_slope  says p neither too boldly
    honest          log loss not above the constant's or the plain one's                    nor too timidly
    not_worse       than the champion on the same window                 score_stability    PSI against the champion's
    no_leak         no feature that knows the answer                                        training scores
    parity          how classes, ages and regions fare has been reported
    assessment      the data protection impact assessment has a number   second_person      approver is not the author

Sampling error is the model's to bear where a gate asks for proof (better than chance) and the gate's where it asks for
a fault (worse, too bold): a fault is called one when its whole 95 % interval lies outside the limit. Few rows make an
interval wide, and let a model pass that more rows would stop; the figure is printed either way.

Of a model of effects the same is asked on held-out arms: it ranks effects better than chance (Qini), telling those whom
it puts above 0 loses nothing against telling everybody, and its Qini is not below the champion's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar

from training.judging.drift import Psi
from training.judging.effect_judgement import EffectJudgement, said_of
from training.judging.judgement import OURS, PLAIN, Judgement, compared, compared_zh
from training.judging.leakage import Suspicion
from training.judging.metrics import Interval
from training.judging.slices import Slice
from training.policy import GateLimits, Inventory

AnyJudgement = Judgement | EffectJudgement
J = TypeVar("J", bound=AnyJudgement)

INVENTORY_FILE = "HOME/policy/models/inventory.yaml"
_BLIND_AUC = 0.5
_RIVALS_ZH = {"champion": "冠军", "plain model": "简单模型", "constant": "常数", "ranking by response": "按响应排序"}
_GROUPS_ZH = {"class": "分类", "age": "年龄", "region": "区域"}
_ROLES_ZH = {"owner": "负责人", "author": "训练人", "approver": "审批人"}
_STRICTNESS = 3.09 / 1.96  # a bank that trains often would call noise a model one time in forty; so one in a thousand


@dataclass(frozen=True)
class Evidence(Generic[J]):
    """All that the gates ask of one model on one window.

    `less_champion` is ours − champion on the same rows, in AUC or, of effects, in Qini, None without a champion;
    `score_psi` compares the scores of the window with the champion's training scores (without a champion: its own);
    `suspicions` are columns that may know the answer, each with its sentence; `drifts` how far each feature moved since
    the training rows.
    """

    judgement: J
    less_champion: Interval | None
    score_psi: float
    suspicions: Sequence[Suspicion]
    slices: Sequence[Slice]
    drifts: Mapping[str, Psi]
    inventory: Inventory
    limits: GateLimits


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate answered: what was measured, what is allowed, and the sentence.

    `margin` is how far inside its limit the figure lies that decides, below 0 outside; None where nothing is measured.
    `zh` holds figure, limit and sentence in Chinese, those that have words.
    """

    name: str
    passes: bool
    figure: str
    limit: str
    says: str
    margin: float | None = None
    zh: Mapping[str, str] = field(default_factory=dict)

    @property
    def says_zh(self) -> str:
        return self.zh.get("says", self.says)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model may be champion, why in one sentence, the same in Chinese, and every gate."""

    passes: bool
    is_better_than_constant: bool
    says: str
    gates: tuple[Gate, ...] = ()
    says_zh: str = ""

    @property
    def failed(self) -> tuple[Gate, ...]:
        return tuple(gate for gate in self.gates if not gate.passes)


def examine(evidence: Evidence[Any]) -> Verdict:
    """Every gate answered, none left out after the first that fails."""
    asked = EFFECT_GATES if isinstance(evidence.judgement, EffectJudgement) else GATES
    gates = tuple(gate(evidence) for gate in asked)
    failed = [gate for gate in gates if not gate.passes]
    named = {gate.name: gate for gate in gates}
    telling = failed or [named["not_worse"]]
    says, says_zh = "; ".join(gate.says for gate in telling), "；".join(gate.says_zh for gate in telling)
    return Verdict(not failed, named["beats_constant"].passes, says, gates, says_zh)


def beats_constant(evidence: Evidence[Judgement]) -> Gate:
    return _proof("AUC", evidence.judgement.figures[OURS]["auc"], _BLIND_AUC)


def _proof(measure: str, found: Interval, blind: float) -> Gate:
    """Whether a figure lies above what chance says to one in a thousand; where it does at 95 % alone, what is lacking.

    The rows that would show a lead of this size grow with the square of what the limit is away.
    """
    reach = found.value - found.low
    strict = found.value - reach * _STRICTNESS
    passes = strict > blind  # a NaN does not pass
    told, told_zh = ("better than a constant", "好于常数") if passes else ("not better than a constant", "不好于常数")
    end, end_zh = f"whose lower limit at one in a thousand is {strict:.4f}", f"千分之一水平的下限为 {strict:.4f}"
    if not passes and found.low > blind:
        told, told_zh = "not proven better than a constant", "尚未证明好于常数"
        times = (reach * _STRICTNESS / (found.value - blind)) ** 2
        end += " (noise passes at 95 % in one training of forty); "
        end += f"{times:.1f} times the test rows would prove a lead of this size"
        end_zh += f"（纯噪声每四十次训练有一次通过 95 %）；检验样本为现在的 {times:.1f} 倍时，这样大的领先才得到证明"
    limit, limit_zh = f"above {blind:g}", f"高于 {blind:g}"
    return Gate(
        "beats_constant", passes, f"{strict:.4f}", limit, f"{told}: {measure} {found}, {end}", strict - blind,
        {"says": f"{told_zh}：{measure} {found}，{end_zh}", "limit": limit_zh},
    )  # fmt: skip


def honest(evidence: Evidence[Judgement]) -> Gate:
    """Probabilities are multiplied into money, so a worse log loss refuses a model however well it ranks."""
    judged = evidence.judgement
    for rival, loss in (("constant", judged.loss_less_constant), ("plain model", judged.loss_less_plain)):
        if loss.low > 0:
            told = f"its probabilities are worse than the {rival}'s: log loss higher by {loss}"
            zh = {"says": f"概率比{_RIVALS_ZH[rival]}的差：对数损失高出 {loss}", "limit": "不高于 0"}
            return Gate("honest", False, str(loss), "not above 0", told, -loss.low, zh)
    told = f"log loss less the constant's {judged.loss_less_constant}"
    margin = -max(judged.loss_less_constant.low, judged.loss_less_plain.low)
    zh = {"says": f"对数损失减去常数的：{judged.loss_less_constant}", "limit": "不高于 0"}
    return Gate("honest", True, str(judged.loss_less_constant), "not above 0", told, margin, zh)


def not_worse(evidence: Evidence[Judgement]) -> Gate:
    """Beside the champion on the same rows; the first model beside the plain one."""
    rival, difference = "champion", evidence.less_champion
    if difference is None:
        rival, difference = "plain model", evidence.judgement.ours_less_plain
    zh = {"says": compared_zh(difference, _RIVALS_ZH[rival]), "limit": f"不低于{_RIVALS_ZH[rival]}"}
    return Gate("not_worse", not difference.high < 0, str(difference), f"not below the {rival}",
                compared(difference, rival), difference.high, zh)  # fmt: skip


def ranks_effects(evidence: Evidence[EffectJudgement]) -> Gate:
    return _proof("Qini", evidence.judgement.figures[OURS]["qini"], 0.0)


def spares_nobody_wrongly(evidence: Evidence[EffectJudgement]) -> Gate:
    """Effects decide whom the bank leaves alone, so a plan that gains less than telling everybody refuses a model."""
    less = evidence.judgement.less_everybody
    told = f"telling those whom it puts above 0 is {said_of(less)} telling everybody: {less} conversions a row"
    told_zh = compared_zh(less, "全部告知", "每行转化数")
    zh = {"says": f"只告知效果高于 0 的客户，{told_zh}", "limit": "不低于全部告知"}
    return Gate("honest", not less.high < 0, str(less), "not below telling everybody", told, less.high, zh)


def ranks_no_worse(evidence: Evidence[EffectJudgement]) -> Gate:
    """Beside the champion on the same rows; the first model beside ranking by response."""
    rival, difference = "champion", evidence.less_champion
    if difference is None:
        rival, difference = "ranking by response", evidence.judgement.less[PLAIN]
    zh = {"says": compared_zh(difference, _RIVALS_ZH[rival], "Qini"), "limit": f"不低于{_RIVALS_ZH[rival]}"}
    return Gate("not_worse", not difference.high < 0, str(difference), f"not below the {rival}",
                compared(difference, rival, "Qini"), difference.high, zh)  # fmt: skip


def calibration_slope(evidence: Evidence[Any]) -> Gate:
    slope, limits = evidence.judgement.figures[OURS]["slope"], evidence.limits
    passes = not (slope.high < limits.least_slope or slope.low > limits.most_slope)
    allowed = f"{limits.least_slope:g} to {limits.most_slope:g}"
    allowed_zh = allowed.replace("to", "至")
    told, told_zh = f"calibration slope {slope}", f"校准斜率 {slope}"
    if not passes:
        by = max(limits.least_slope - slope.value, slope.value - limits.most_slope)
        told += f" lies outside {allowed} by {by:.3f}, its whole interval with it"
        told_zh += f"，连同整个区间都在 {allowed_zh} 之外，偏出 {by:.3f}"
    margin = min(slope.high - limits.least_slope, limits.most_slope - slope.low)
    return Gate("calibration_slope", passes, str(slope), allowed, told, margin, {"says": told_zh, "limit": allowed_zh})


def score_stability(evidence: Evidence[Any]) -> Gate:
    most, psi = evidence.limits.most_score_psi, evidence.score_psi
    told, told_zh = (
        f"score PSI {psi:.3f} against the champion's training scores",
        f"评分相对冠军训练评分的 PSI 为 {psi:.3f}",
    )
    if not psi < most:
        told += f" is above {most:g} by {psi - most:.3f}"
        told_zh += f"，比 {most:g} 高 {psi - most:.3f}"
    zh = {"says": told_zh, "limit": f"低于 {most:g}"}
    return Gate("score_stability", psi < most, f"{psi:.3f}", f"below {most:g}", told, most - psi, zh)


def no_leak(evidence: Evidence[Any]) -> Gate:
    found = evidence.suspicions
    told, told_zh = "no feature knows the answer", "没有特征预先知道答案"
    if found:
        told = f"features that may know the answer: {'; '.join(one.says for one in found)}"
        told_zh = f"可能预先知道答案的特征：{'；'.join(one.says_zh for one in found)}"
    zh = {"says": told_zh, "limit": "没有可疑特征"}
    return Gate("no_leak", not found, str(len(found)), "0 suspicions", told, 0.0 - len(found), zh)


def parity(evidence: Evidence[Any]) -> Gate:
    groups = sorted({one.by for one in evidence.slices})
    told = f"parity reported by {', '.join(groups)}"
    told_zh = f"已按{'、'.join(_GROUPS_ZH.get(name, name) for name in groups)}报告群体差距"
    if not groups:
        told_zh = "没有群体公平报告：数据里没有客户的分类、年龄或区域"
        told = "no parity report: the rows hold neither class nor age nor region of a customer"
    zh = {"figure": f"{len(evidence.slices)} 个群体", "limit": "要有报告", "says": told_zh}
    return Gate("parity", bool(groups), f"{len(evidence.slices)} groups", "a report", told, zh=zh)


def assessment(evidence: Evidence[Any]) -> Gate:
    number = evidence.inventory.pipia_id
    told, told_zh = f"impact assessment {number}", f"影响评估编号 {number}"
    if not number:
        told_zh = f"台账没有写个人信息保护影响评估（PIPL 55、56）：把编号作为 pipia_id 写入 {INVENTORY_FILE}"
        told = (
            "the inventory names no data protection impact assessment (PIPL 55, 56): "
            f"write its number as pipia_id into {INVENTORY_FILE}"
        )
    zh = {"limit": "要有编号", "says": told_zh} | ({} if number else {"figure": "无"})
    return Gate("assessment", bool(number), number or "none", "a number", told, zh=zh)


def second_person(evidence: Evidence[Any]) -> Gate:
    who = evidence.inventory
    named = {"owner": who.owner, "author": who.author, "approver": who.approver}
    figure = f"author {who.author or 'none'}, approver {who.approver or 'none'}"
    zh = {"figure": f"训练人 {who.author or '无'}，审批人 {who.approver or '无'}", "limit": "两个人"}
    if missing := [role for role, name in named.items() if not name]:
        told = f"the inventory names no {' and no '.join(missing)}: write who into {INVENTORY_FILE}"
        told_zh = f"台账没有写{'、'.join(_ROLES_ZH[role] for role in missing)}：写入 {INVENTORY_FILE}"
    elif str(who.author).strip().casefold() == str(who.approver).strip().casefold():
        told = f"{who.author} made the model and cannot approve it: name a second person"
        told_zh = f"{who.author} 训练了模型，不能自己审批：请指定第二个人"
    else:
        told = f"made by {who.author}, approved by {who.approver}"
        zh |= {"says": f"由 {who.author} 训练，由 {who.approver} 审批"}
        return Gate("second_person", True, figure, "two people", told, zh=zh)
    return Gate("second_person", False, figure, "two people", told, zh=zh | {"says": told_zh})


_OF_ALL: tuple[Callable[[Evidence[Any]], Gate], ...] = (
    calibration_slope, score_stability, no_leak, parity, assessment, second_person,
)  # fmt: skip
GATES: tuple[Callable[[Evidence[Any]], Gate], ...] = (beats_constant, honest, not_worse, *_OF_ALL)
EFFECT_GATES: tuple[Callable[[Evidence[Any]], Gate], ...] = (
    ranks_effects, spares_nobody_wrongly, ranks_no_worse, *_OF_ALL,
)  # fmt: skip
