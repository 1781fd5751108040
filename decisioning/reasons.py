"""Reason codes and their sentences, Chinese and English: why an offer stands in the list, and why another does not.

No sentence carries an amount: the list is also read on networks where customers' amounts may not appear.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from decisioning.catalogue.cards import Words

Facts = tuple[tuple[str, str], ...]


class Reason(NamedTuple):  # hashed at each slot, which a tuple does in a tenth of the time of a dataclass
    """A code with what its sentence says of this customer: pairs of placeholder and text in both languages."""

    code: str
    zh: Facts = ()
    en: Facts = ()

    def words(self) -> Words:
        """The sentence in both languages.

        >>> Reason("OVERLAY_MATURITY", zh=(("days", "7"),), en=(("days", "7"),)).words().en
        'Days until a holding matures: 7.'
        """
        sentence = sentence_of(self.code)
        return Words(sentence.zh.format_map(_Given(self.zh)), sentence.en.format_map(_Given(self.en)))

    def to_json(self) -> dict[str, object]:
        return {"code": self.code, "text": self.words().to_json()}


class _Given(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "—"


def sentence_of(code: str) -> Words:
    """The sentence of a code; the bank's own exclusions and overlays, which only its policy knows, share one each."""
    found = SENTENCES.get(code)
    if found is not None:
        return found
    if code.startswith(OVERLAY):
        name = code.removeprefix(OVERLAY)
        return Words(f"客户正处于“{name}”情形。", f"The customer is in the situation {name}.")
    return Words(f"本行规则“{code}”不允许。", f"The bank's own rule {code} forbids it.")


def what_would_allow(code: str) -> Words:
    """What would have to change for an offer with this reason to pass."""
    return REMEDIES.get(code, _BY_POLICY)


OVERLAY = "OVERLAY_"
_BY_POLICY = Words("须由本行修改规则。", "Only a change of the bank's own rule.")

_PAIRS_FOR: dict[str, tuple[str, str]] = {
    "ASKED": ("客户本人提出。", "The customer asked for it."),
    "CELL_LISTED": ("所在客群格的目标是“{goal}”,已列入。", "The customer's cell lists it; its goal: {goal}."),
    "CELL_SECONDARY": ("列于客户另一客群的同阶段客群格。", "Listed in the cell of the customer's secondary class."),
    "SERVICE_DUE": ("客户现在需要这项服务。", "The customer needs this service now."),
    "MOMENT": ("与客户此刻正在办理的事项相关。", "It belongs to what the customer is doing right now."),
    "TIER_LEADS": ("在该客群格中为其分层优先推荐。", "It stands first in the cell for the customer's tier."),
    "OVERLAY_COMPLAINT_OR_CHURN": ("客户有投诉或流失迹象,先关怀。", "A complaint or signs of leaving: care first."),
    "OVERLAY_MATURITY": ("有产品{days}天后到期。", "Days until a holding matures: {days}."),
    "OVERLAY_LOAN_END": ("贷款{days}天后到期。", "Days until a loan ends: {days}."),
    "OVERLAY_NEAR_TIER": ("接近更高分层,或处于保级期。", "Close to the next tier, or about to lose the present one."),
    "OVERLAY_PAYDAY": ("{days}天前发薪。", "Days since the salary came in: {days}."),
    "OVERLAY_TOPIC": ("有面向该分层的活动。", "There is an event for this tier."),
    "OVERLAY_PRIVATE": ("合格投资者专属。", "Reserved to qualified investors."),
    "HIGH_P": ("响应可能性在其候选中居前。", "Among the likeliest of the customer's candidates to be taken up."),
    "HIGH_GAIN": ("预期收益在其候选中居前。", "Among the most worthwhile of the customer's candidates."),
    "RISK_FITS": ("产品风险不高于客户有效测评等级。", "Its risk is within the customer's valid assessment."),
    "NO_RISK": ("不涉及投资风险。", "It carries no investment risk."),
    "NO_MODEL": ("按本行统一参考响应率排序。", "Ranked with the bank's general response rate."),
    "GENERIC_ORDER": ("客户已关闭个性化推荐,按统一顺序展示。", "Personal recommendation is off: the general order."),
    "PROFILING_WITHDRAWN": (
        "客户已撤回画像授权,按统一顺序展示。",
        "Consent to profiling is withdrawn: the general order.",
    ),
}
_PAIRS_AGAINST: dict[str, tuple[str, str, str, str]] = {
    "NOT_IN_CHANNEL": (
        "该渠道不办理此项。", "This channel does not carry it.",
        "换一个可办理的渠道。", "Another channel that carries it.",
    ),
    "TOOL_ALONE": (
        "营销工具不单独出现。", "A marketing tool never stands alone.",
        "同时有产品或服务可推荐。", "A product or service beside it.",
    ),
    "HOLDOUT": (
        "对照组:本年度不主动营销。", "Holdout: no active marketing this year.",
        "客户提出可照常办理。", "The customer's own request.",
    ),
    "SLEEPING_DOG": (
        "随机对照显示:主动沟通反而降低该客户的办理可能,不打扰。",
        "Randomised arms say that telling this customer makes it less likely; he is left alone.",
        "客户提出可照常办理,或新的对照结果。", "The customer's own request, or what later arms say.",
    ),
    "RESTRICTED": (
        "客户受限(冻结、身故或反洗钱)。", "The customer is restricted.",
        "解除限制后。", "The restriction being lifted.",
    ),
    "STAFF": (
        "本行员工另有政策。", "Staff have a policy of their own.",
        "按员工政策办理。", "The staff policy.",
    ),
    "UNDER_AGE": (
        "未满18岁不营销。", "No marketing below the age of 18.",
        "年满18岁后。", "Turning 18.",
    ),
    "OVERDUE": (
        "有逾期,仅提供服务。", "Overdue: service only.",
        "逾期结清后。", "Settling what is overdue.",
    ),
    "OPEN_COMPLAINT": (
        "投诉未结,停止营销。", "An open complaint stops sales.",
        "投诉办结后。", "Settling the complaint.",
    ),
    "DO_NOT_CALL": (
        "客户拒绝该渠道联系。", "The customer closed this channel.",
        "客户重新授权后。", "Renewed consent by the customer.",
    ),
    "NO_CONSENT": (
        "未取得主动联系的授权。", "No consent to reach out.",
        "客户授权后,或客户到店、登录时。", "Consent, or the customer coming to us.",
    ),
    "CATEGORY_WITHHELD": (
        "客户不接受该类产品的营销。", "The customer wants to hear nothing of products of this category.",
        "客户重新授权该类产品,或客户提出。", "Renewed consent to the category, or the customer's own request.",
    ),
    "DATA_MISSING": (
        "判断所需信息缺失。", "A fact that the rule asks for is missing.",
        "补充缺失信息。", "The missing fact, such as a risk assessment.",
    ),
    "GATE": (
        "不符合准入条件。", "The entry conditions are not met.",
        "满足准入条件后。", "Meeting the entry conditions.",
    ),
    "CELL_BARRED": (
        "该阶段不推主打产品。", "No core products at this stage.",
        "客户进入下一阶段,或客户提出。", "The next stage, or the customer's own request.",
    ),
    "NOT_READY": (
        "尚在培养期,不可操之过急。", "Too early: the relation has to grow first.",
        "使用更多服务、更加活跃后,或客户提出。", "More days, services and activity, or the customer's own request.",
    ),
    "BELOW_MINIMUM": (
        "行内资产低于起点金额。", "The customer's money here is below the minimum.",
        "资产达到起点金额后。", "Reaching the minimum.",
    ),
    "HELD": (
        "客户已持有。", "The customer already has it.",
        "客户不再持有后。", "The customer no longer having it.",
    ),
    "REFUSED": (
        "客户近期已拒绝。", "Refused a short while ago.",
        "冷静期过后,或客户提出。", "The end of the pause, or the customer's own request.",
    ),
    "CONVERTED": (
        "客户刚办理过。", "Taken up a short while ago.",
        "观察期过后。", "The end of its window.",
    ),
    "ASSESSMENT_EXPIRED": (
        "风险测评已过期。", "The risk assessment has expired.",
        "重新测评后。", "A new assessment.",
    ),
    "RISK_TOO_HIGH": (
        "产品风险高于客户承受能力。", "Its risk is above the customer's tolerance.",
        "不可突破;仅当客户自愿重新测评且结果匹配。", "Only a new assessment at the customer's own will.",
    ),
    "AGE_CAP": (
        "高龄客户不主动推荐该风险等级。", "Not shown unasked to customers of this age.",
        "不可突破。", "Nothing overrides it.",
    ),
    "NOT_QUALIFIED": (
        "仅限合格投资者。", "For qualified investors only.",
        "经认定为合格投资者后。", "Recognition as a qualified investor.",
    ),
    "SALES_CAP": (
        "营销联系次数已达上限。", "The cap on sales contacts is reached.",
        "周期过后,或客户提出。", "Room in the window, or the customer's own request.",
    ),
    "MESSAGE_CAP": (
        "全部消息次数已达上限。", "The cap on messages of all kinds is reached.",
        "周期过后。", "Room in the window.",
    ),
    "CHANNEL_CAP": (
        "该渠道联系次数已达上限。", "The channel's own cap is reached.",
        "周期过后,或换渠道。", "Room in the window, or another channel.",
    ),
    "CHANNEL_NOT_FOR_CUSTOMER": (
        "该渠道不适用于此客户。", "The channel is not for this customer.",
        "改由客户经理、网点或电话。", "Manager, branch or phone.",
    ),
    "WITHHELD": (
        "涉及客户的资产、身份或测评,此处不显示。", "It rests on what may not be shown here.",
        "由有权限的同事在行内网络查看。", "A cleared colleague inside the bank's network can look it up.",
    ),
    "STALE": (
        "注册已久且一直沉默,只在其主动来访时触达。", "Silent for long: reached only where he comes himself.",
        "客户登录、到店或办理业务后。", "The customer logging in, coming by, or taking something up.",
    ),
    "QUIET_HOURS": (
        "免打扰时段。", "Quiet hours.",
        "次日时段开始后。", "The end of the quiet hours.",
    ),
}  # fmt: skip
_PAIRS_OF_DECISION: dict[str, tuple[str, str]] = {
    "NO_CANDIDATE": ("没有可推荐的事项。", "Nothing may be offered."),
    "BELOW_FLOOR": ("不打扰比任何推荐都更值得。", "Leaving the customer in peace is worth more than any offer."),
    "CHALLENGER": ("由试运行的挑战者模型打分。", "Scored by the challenger that is on trial."),
    "CLASS_ASSUMED": ("客群未知,按默认客群处理。", "The class is unknown: the default class is assumed."),
    "STAGE_ASSUMED": ("生命周期阶段未知,按首个产品日期推定。", "The stage is unknown: told by the first product."),
    "CONSENT_NOT_KEPT": ("本行无授权记录:不主动外呼外发。", "The bank keeps no consents: it does not reach out."),
    "CONSENT_ATTESTED": ("授权由本行声明。", "Consent is attested by the bank."),
}
_PAIRS_OF_PLAYBOOK: dict[str, tuple[str, str]] = {
    "OBJECTION_NOT_NOW": (
        "客户说暂不需要:尊重并记录,不反复劝说。",
        "Not now: respect it, note it, do not press.",
    ),
    "OBJECTION_RISK": (
        "客户担心亏损:说明产品会有波动,与其测评等级核对。",
        "Afraid of losses: say plainly that values move, and go through the assessment together.",
    ),
    "OBJECTION_COST": (
        "客户关心费用:出示公示的费率和总费用。",
        "What does it cost: show the published rate and the total cost.",
    ),
    "NEXT_IN_SESSION": ("页面展示,客户可一键办理或一键关闭。", "Show it: one tap takes it, one tap closes it."),
    "NEXT_OUTBOUND": ("按已审文案发送,附退订方式。", "Send the approved text, with the way to opt out."),
    "NEXT_FACE_TO_FACE": ("当面介绍后记录结果。", "Present it in person and note what came of it."),
    "NEXT_RECORD": ("先完成双录,再办理。", "Record sound and picture first, then sign."),
}


def _words(pairs: Mapping[str, tuple[str, str]]) -> dict[str, Words]:
    return {code: Words(zh, en) for code, (zh, en) in pairs.items()}


SENTENCES: Mapping[str, Words] = MappingProxyType(
    _words(_PAIRS_FOR)
    | {code: Words(zh, en) for code, (zh, en, _, _) in _PAIRS_AGAINST.items()}
    | _words(_PAIRS_OF_DECISION)
    | _words(_PAIRS_OF_PLAYBOOK)
)
REMEDIES: Mapping[str, Words] = MappingProxyType(
    {code: Words(zh, en) for code, (_, _, zh, en) in _PAIRS_AGAINST.items()}
)
