"""What headers of bank files mean: the words that Chinese and English exports use for our columns.

A word list, not a rule: a proposal that is wrong costs a minute, and every guess is written beside its reason. What
the values mean stands in `wordings.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

_CUSTOMER = (
    "客户号 客户编号 客户代码 客户id 核心客户号 ecif号 cust_id cust_no custno customer_id client_id client_no cif ecif"
)
_PRODUCT = "产品代码 产品编号 产品编码 产品号 product_id product_code prod_code prod_id"
_ACCOUNT = "账号 账户号 帐号 account_id acct_no account_no"
# table -> our column -> words for it, apart by spaces; of several that fit a header the longest word decides. Whose a
# row is can also follow from its account: account_id of txn and holding is no column of theirs
_SAID: Mapping[str, Mapping[str, str]] = {
    "customer": {
        "customer_id": _CUSTOMER,
        "birth_on": "出生日期 生日 出生年月日 birth_date birthday dob birth_on",
        "gender": "性别 gender sex",
        "id_doc_type": "证件类型 证件种类 id_type cert_type id_doc_type",
        "occupation": "职业 职业代码 occupation",
        "employer_id": "工作单位 单位编号 代发单位 employer",
        "declared_income_amount": "年收入 申报收入 income annual_income declared_income_amount",
        "region": "地区 地区代码 所在地 城市 region city district_id",
        "branch_id": "开户网点 所属机构 机构号 网点号 归属机构 开户机构 branch branch_id org_id branch_no",
        "rm_id": "客户经理 管户经理 客户经理号 理财经理 rm rm_id manager_id",
        "registered_on": (
            "注册日期 建档日期 建档日 开户日期 开户日 入行日期 register_date reg_date create_date open_date open_dt "
            "registered_on became_member_on"
        ),
        "first_product_on": "首次持有日期 首开日期 首次开户日期 first_product_on",
        "closed_on": "销户日期 close_date closed_on",
        "acquisition_source": "客户来源 获客渠道 source acquisition_source",
        "is_staff": "是否员工 员工标志 本行员工 staff_flag is_staff",
        "is_restricted": "冻结标志 是否冻结 限制标志 is_restricted",
        "is_student": "是否学生 学生标志 is_student",
        "family_id": "家庭编号 家庭号 家庭代码 户号 family_id",
        "has_marketing_optout": "营销退订 拒绝营销 是否拒绝营销 免打扰标志 optout has_marketing_optout",
    },
    "account": {
        "account_id": "账号 账户号 帐号 卡号 借记卡号 account_id acct_no account_no card_no",
        "customer_id": _CUSTOMER,
        "account_class": "账户类别 账户分类 account_class",
        "product_id": _PRODUCT,
        "opened_on": "开户日期 开户日 开卡日期 open_date open_dt opened_on",
        "closed_on": "销户日期 销卡日期 close_date closed_on",
    },
    "balance": {
        "customer_id": _CUSTOMER,
        "account_id": _ACCOUNT,
        "asset_class": "资产类别 存款种类 储种 资产类型 存款类型 asset_class deposit_type",
        "from_on": (
            "数据日期 余额日期 日期 统计日期 快照日期 data_date balance_date biz_date snap_date stat_dt data_dt from_on"
        ),
        "to_on": "失效日期 结束日期 to_on",
        "amount": "余额 账户余额 日终余额 存款余额 时点余额 当前余额 balance bal acct_bal curr_bal amount",
        "in_transit_amount": "在途金额 在途资金 in_transit_amount",
        "loan_proceeds_amount": "贷款资金 loan_proceeds_amount",
    },
    "txn": {
        "account_id": _ACCOUNT,
        "txn_id": "流水号 交易流水号 交易流水 主机流水号 trans_id txn_id tran_no seq_no",
        "customer_id": _CUSTOMER,
        "occurred_at": "交易时间 交易时间戳 txn_time tran_time occurred_at",
        "business_on": "交易日期 交易日 记账日期 会计日期 txn_date trans_date tran_date business_on",
        "txn_type": "交易类型 交易码 摘要代码 摘要 txn_type trans_type tran_type",
        "amount": "交易金额 发生额 金额 amount txn_amount tran_amt txn_amt",
        "counterparty": "对手类型 交易对手类型 counterparty",
        "channel": "渠道 交易渠道 channel",
        "by_customer": "客户发起 主动交易标志 by_customer",
    },
    "holding": {
        "account_id": _ACCOUNT,
        "holding_id": "持仓号 合约号 份额账号 持仓编号 协议编号 holding_id position_id",
        "customer_id": _CUSTOMER,
        "product_id": f"{_PRODUCT} 理财产品代码 基金代码 保险产品代码",
        "opened_on": (
            "购买日期 认购日期 申购日期 成交日期 确认日期 起息日 起息日期 buy_date purchase_date start_date opened_on"
        ),
        "matures_on": "到期日 产品到期日 到期日期 maturity_date mat_date matures_on",
        "closed_on": "赎回日期 终止日期 closed_on",
        "amount": "购买金额 认购金额 持有金额 确认金额 份额金额 市值 持有市值 buy_amt amount",
    },
    "loan": {
        "loan_id": "借据号 贷款合同号 贷款账号 贷款编号 卡号 信用卡号 信用卡账号 loan_id loan_no contract_no card_no",
        "customer_id": _CUSTOMER,
        "product_id": f"{_PRODUCT} 贷款品种 贷款产品 卡种 卡产品 卡产品代码 card_type card_product loan_type",
        "opened_on": "放款日期 发放日期 借款日 借款日期 开卡日期 发卡日期 open_date loan_date issue_date opened_on",
        "ends_on": "贷款到期日 到期日 到期日期 due_date end_date ends_on",
        "closed_on": "结清日期 销卡日期 settle_date closed_on",
        "amount": "贷款金额 放款金额 合同金额 授信额度 信用额度 额度 credit_limit loan_amount loan_amt amount",
        "overdue_from_on": "逾期起始日 逾期日期 逾期开始日期 overdue_date overdue_from_on",
        "overdue_to_on": "逾期结束日 逾期结束日期 overdue_to_on",
    },
    "service_activation": {
        "customer_id": _CUSTOMER,
        "service_id": "服务代码 业务代码 签约业务 开通业务 service_id service_code",
        "activated_on": "开通日期 签约日期 激活日期 activate_date sign_date activated_on",
        "closed_on": "解约日期 关闭日期 cancel_date closed_on",
    },
    "risk_assessment": {
        "customer_id": _CUSTOMER,
        "assessed_on": "评估日期 风评日期 测评日期 assess_date risk_date assessed_on",
        "risk_level": "风险等级 风险承受能力 测评等级 风险承受等级 客户风险等级 risk_grade risk_level",
        "investor_type": "投资者类型 investor_type",
        "expires_on": "有效期至 风评到期日 失效日期 到期日期 有效期 expire_date valid_to expires_on",
    },
    "consent": {
        "consent_id": "授权编号 授权流水号 同意编号 consent_id",
        "customer_id": _CUSTOMER,
        "purpose": "授权用途 授权类型 授权事项 用途 purpose consent_type",
        "channel": "授权渠道 触达渠道 渠道 channel",
        "category": "产品类别 授权产品类别 产品大类 category product_category",
        "is_granted": "是否同意 是否授权 同意标志 授权标志 授权状态 is_granted granted agree_flag",
        "proof_id": "凭证号 授权凭证 凭证编号 proof_id",
        "occurred_at": "授权时间 签署时间 consent_time occurred_at",
        "business_on": "授权日期 签署日期 consent_date business_on",
    },
    "contact": {
        "contact_id": "触达编号 触达流水号 联系编号 外呼编号 发送流水号 contact_id touch_id",
        "customer_id": _CUSTOMER,
        "campaign_id": "活动编号 活动代码 campaign_id",
        "offer_id": f"{_PRODUCT} 营销产品 推荐产品 offer_id",
        "channel": "触达渠道 联系渠道 发送渠道 营销渠道 渠道 channel",
        "purpose": "触达目的 联系目的 目的 purpose",
        "sent_at": "发送时间 触达时间 联系时间 外呼时间 send_time sent_time contact_time sent_at",
        "business_on": "发送日期 触达日期 联系日期 外呼日期 send_date contact_date business_on",
        "delivered_at": "送达时间 delivered_time delivered_at",
        "opened_at": "打开时间 阅读时间 open_time opened_at",
        "failed_at": "失败时间 failed_at",
        "cost_amount": "触达成本 成本 cost cost_amount",
    },
    "response": {
        "event_id": "反馈编号 响应编号 event_id response_id",
        "customer_id": _CUSTOMER,
        "contact_id": "触达编号 触达流水号 联系编号 contact_id touch_id",
        "offer_id": f"{_PRODUCT} offer_id",
        "outcome": "反馈结果 响应结果 营销结果 outcome result",
        "occurred_at": "反馈时间 响应时间 response_time occurred_at",
        "business_on": "反馈日期 响应日期 response_date business_on",
        "amount": "成交金额 amount",
    },
    "complaint": {
        "complaint_id": "投诉编号 投诉工单号 工单号 complaint_id",
        "customer_id": _CUSTOMER,
        "opened_at": "受理时间 投诉时间 opened_at",
        "business_on": "受理日期 投诉日期 complaint_date business_on",
        "closed_at": "办结时间 closed_at",
        "topic": "投诉类型 投诉事由 topic",
        "severity": "严重程度 投诉等级 severity",
    },
    "channel_event": {
        "event_id": "事件号 事件编号 日志号 日志编号 行为流水号 event_id log_id",
        "customer_id": _CUSTOMER,
        "occurred_at": "登录时间 操作时间 事件时间 访问时间 行为时间 event_time login_time occurred_at",
        "channel": "登录渠道 访问渠道 渠道 channel",
        "event": "事件 事件类型 操作类型 行为类型 event event_type action",
        "service_id": "功能代码 服务代码 页面代码 service_id page_id",
        "page": "页面 页面名称 页面标识 page page_name",
    },
}  # fmt: skip
WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    table: {column: tuple(words.split()) for column, words in columns.items()} for table, columns in _SAID.items()
}
# words in a file's name -> the table that it is likely to be
FILES: Mapping[str, tuple[str, ...]] = {
    "customer": ("客户信息", "客户", "customer", "client", "cust"),
    "account": ("账户信息", "账户", "借记卡", "account", "acct", "debit"),
    "balance": ("余额", "日余额", "balance", "bal"),
    "txn": ("交易", "流水", "txn", "trans"),
    "holding": ("理财", "持仓", "基金", "holding", "position"),
    "loan": ("贷款", "借据", "信用卡", "loan", "credit"),
    "service_activation": ("签约", "开通", "activation", "service"),
    "risk_assessment": ("风评", "风险测评", "风险", "risk"),
    "consent": ("授权", "同意", "consent"),
    "contact": ("触达", "外呼", "联系", "短信", "contact"),
    "response": ("反馈", "响应", "response"),
    "complaint": ("投诉", "complaint"),
    "channel_event": ("行为", "登录", "日志", "event", "log"),
}
CURRENCY = ("币种", "币种代码", "货币", "货币代码", "currency", "ccy", "curr_code", "cur")
HOME_CURRENCY = ("CNY", "RMB", "人民币", "156", "01", "001")
