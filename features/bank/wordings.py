"""What values of bank files mean, and what a bank that says nothing is taken to mean: words for our codes.

A key is a column of ours, or `table.column` where one name has two lists of codes.
"""

from __future__ import annotations

from collections.abc import Mapping

# column -> our code -> words for it, apart by spaces
_SAID: Mapping[str, Mapping[str, str]] = {
    "gender": {
        "M": "男 男性 M 1", "F": "女 女性 F 2", "O": "未知",
    },
    "id_doc_type": {
        "MAINLAND": "身份证 居民身份证",
        "HK_MO_TW": "港澳通行证 台胞证 港澳台居民居住证 港澳居民来往内地通行证 台湾居民来往大陆通行证",
        "FOREIGN": "护照 外国人永久居留证",
    },
    "asset_class": {
        "DEMAND": "活期 活期存款", "TIME": "定期 定期存款 通知存款", "LCD": "大额存单", "STRUCT": "结构性存款",
        "WMP": "理财", "MMF": "货币基金", "FUND": "基金", "INS": "保险", "BOND": "国债", "GOLD": "黄金",
        "TRUST": "信托",
    },
    "txn_type": {
        "SALARY": "代发 工资", "IN": "转入 存入", "OUT": "转出 取现 支取", "CONSUME": "消费", "BILL": "缴费",
        "BUY": "申购", "REDEEM": "赎回", "INTEREST": "利息 结息", "FEE": "手续费", "REPAY": "还款", "OTHER": "其他",
    },
    "channel": {
        "APP": "手机银行 掌银 推送", "WEB": "网上银行 网银", "WECHAT": "微信 微信银行",
        "BRANCH": "柜面 网点 柜台 厅堂", "ATM": "自助", "CALL": "电话 电话银行 外呼", "RM": "客户经理",
        "SMS": "短信", "EMAIL": "邮件", "LETTER": "信函",
    },
    "event": {
        "LOGIN": "登录", "VIEW": "浏览 访问", "CLICK": "点击", "SEARCH": "搜索", "SHARE": "分享", "SUBMIT": "提交",
        "DONE": "办理", "TRANSFER_OUT_PAGE": "转出页",
    },
    "account_class": {
        "I": "I类 一类", "II": "II类 二类", "III": "III类 三类",
    },
    "investor_type": {
        "ORDINARY": "普通 普通投资者", "QUALIFIED": "合格投资者", "PROFESSIONAL": "专业投资者",
    },
    "risk_level": {
        "1": "C1 保守型", "2": "C2 稳健型", "3": "C3 平衡型", "4": "C4 成长型", "5": "C5 进取型",
    },
    "consent.purpose": {
        "MARKETING": "营销 营销推送", "PROFILING": "个性化推荐 画像", "RESEARCH": "调研", "SHARING": "共享 信息共享",
    },
    "consent.is_granted": {
        "true": "同意 已授权 授权 有效", "false": "撤回 拒绝 不同意 未授权",
    },
    "contact.purpose": {
        "SALES": "营销 销售", "SERVICE": "服务 到期提醒", "RELATION": "关怀 维护", "SURVEY": "调研", "LEGAL": "法定",
    },
    "outcome": {
        "no_answer": "无人接听 未接通", "wrong_number": "空号", "considering": "考虑中 有意向",
        "appointment": "预约", "accepted": "接受 同意", "refused": "拒绝", "complained": "投诉",
        "converted": "成交 已购买", "clicked": "点击",
    },
}  # fmt: skip
CODES: Mapping[str, Mapping[str, str]] = {
    column: {word: ours for ours, words in codes.items() for word in words.split()} for column, codes in _SAID.items()
}
# until somebody mends it: column -> (value, why)
ASSUMED: Mapping[str, tuple[str, str]] = {
    "is_staff": ("false", "the files do not say who is staff"),
    "is_restricted": ("false", "the files do not say who is frozen or deceased"),
    "has_marketing_optout": ("false", "the files do not say who opted out; ask before anything goes out"),
    "in_transit_amount": ("0", "no column for money in transit"),
    "loan_proceeds_amount": ("0", "no column for loan proceeds"),
    "asset_class": ("DEMAND", "no column for what the money is in; taken as demand deposits"),
    "by_customer": ("true", "no column says who made it; interest and fees should be false"),
    "txn_type": ("OTHER", "no column for the kind of transaction"),
    "channel": ("APP", "no column for the channel"),
    "event": ("LOGIN", "no column for what was done"),
    "investor_type": ("ORDINARY", "no column for the investor type"),
    "cost_amount": ("0", "no column for the cost"),
    "contact.purpose": ("SALES", "no column for the purpose; taken as sales, which the caps count"),
    "consent.purpose": ("MARKETING", "no column for what the consent is for"),
    "contact.channel": ("SMS", "no column for the channel"),
}


def codes_of(table: str, column: str) -> Mapping[str, str]:
    """Words for the codes of one column."""
    return CODES.get(f"{table}.{column}", CODES.get(column, {}))


def assumed_of(table: str, column: str) -> tuple[str, str] | None:
    """What one column is taken to be where no header fits, and why; None where nobody may assume."""
    return ASSUMED.get(f"{table}.{column}", ASSUMED.get(column))
