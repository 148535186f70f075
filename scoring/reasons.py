"""The catalogue of reason codes, in English and Chinese, and which features speak through which reason."""

from typing import NamedTuple


class ReasonText(NamedTuple):
    """One reason as told to a reader."""

    english: str
    chinese: str


TOPICS: dict[str, tuple[str, ...]] = {
    "payer_serious_delay": (
        "payer_serious_share",
        "payer_serious_share_90d",
        "payer_serious_share_last_30",
        "payer_slow_share",
        "payer_serious_count",
        "payer_days_late_max",
        "payer_matured_count",
    ),
    "payer_lateness": (
        "payer_late_share",
        "payer_late_share_90d",
        "payer_days_late_mean",
        "payer_days_late_positive_mean",
        "payer_face_days_late_mean",
    ),
    "payer_recent_lateness": (
        "payer_days_late_last_1",
        "payer_days_late_last_3",
        "payer_days_late_last_10",
        "payer_days_late_last_30",
        "payer_late_share_last_10",
        "payer_slow_share_last_10",
        "payer_days_late_trend",
    ),
    "payer_irregularity": ("payer_days_late_spread",),
    "payer_overdue_now": (
        "payer_overdue_count",
        "payer_overdue_face_minor",
        "payer_overdue_share",
        "payer_overdue_oldest_days",
        "payer_serious_open_count",
        *(f"payer_open_over_{days}_{what}" for days in (7, 15, 45, 60) for what in ("count", "face_minor", "share")),
    ),
    "payer_open_exposure": ("payer_open_count", "payer_open_face_minor"),
    "payer_relation": (
        "payer_issued_count",
        "payer_settled_count",
        "payer_relation_days",
        "payer_gap_days",
        "payer_issued_30d",
    ),
    "invoice_size": (
        "face_minor",
        "face_to_payer_mean",
        "payer_size_late_share",
        "payer_size_serious_share",
        "seller_size_late_share",
        "seller_size_serious_share",
    ),
    "invoice_terms": (
        "tenor_days",
        "same_tenor_late_share",
        "same_tenor_serious_share",
        "same_tenor_days_late_mean",
    ),
    "due_calendar": (
        "due_weekday",
        "due_month_day",
        "issue_weekday",
        "same_weekday_late_share",
        "same_weekday_days_late_mean",
    ),
    "seller_record": ("seller_late_share", "seller_serious_share"),
    "pair_record": ("pair_settled_count", "pair_late_share", "pair_serious_share", "pair_days_late_mean"),
}
"""Topic of a reason -> the features whose contributions are added up under it."""

NO_HISTORY = "no_history"
"""Topic of every feature that is missing: nothing is known yet."""

RAISES = "_raises_risk"
LOWERS = "_lowers_risk"

CATALOGUE: dict[str, ReasonText] = {
    "payer_serious_delay_raises_risk": ReasonText(
        "The payer has paid more than 30 days late before", "付款人曾逾期超过30天付款"
    ),
    "payer_serious_delay_lowers_risk": ReasonText(
        "The payer has rarely or never paid more than 30 days late", "付款人很少或从未逾期超过30天"
    ),
    "payer_lateness_raises_risk": ReasonText("The payer often pays after the due date", "付款人经常在到期日后付款"),
    "payer_lateness_lowers_risk": ReasonText("The payer usually pays by the due date", "付款人通常按期付款"),
    "payer_recent_lateness_raises_risk": ReasonText("The payer's latest payments came late", "付款人近期付款出现逾期"),
    "payer_recent_lateness_lowers_risk": ReasonText("The payer's latest payments came on time", "付款人近期按期付款"),
    "payer_irregularity_raises_risk": ReasonText("The payer's payment dates vary widely", "付款人付款时间波动较大"),
    "payer_irregularity_lowers_risk": ReasonText("The payer pays with great regularity", "付款人付款时间稳定"),
    "payer_overdue_now_raises_risk": ReasonText("The payer has overdue invoices today", "付款人当前存在逾期未付发票"),
    "payer_overdue_now_lowers_risk": ReasonText(
        "The payer has little or nothing overdue today", "付款人当前几乎没有逾期"
    ),
    "payer_open_exposure_raises_risk": ReasonText(
        "The payer's open amount points to higher risk", "付款人未付余额显示较高风险"
    ),
    "payer_open_exposure_lowers_risk": ReasonText(
        "The payer's open amount points to lower risk", "付款人未付余额显示较低风险"
    ),
    "payer_relation_raises_risk": ReasonText(
        "How long and how often the payer buys points to higher risk", "合作时间与交易频率显示较高风险"
    ),
    "payer_relation_lowers_risk": ReasonText(
        "How long and how often the payer buys points to lower risk", "合作时间与交易频率显示较低风险"
    ),
    "invoice_size_raises_risk": ReasonText("Invoices of this size are riskier", "该金额规模的发票风险较高"),
    "invoice_size_lowers_risk": ReasonText("Invoices of this size are safer", "该金额规模的发票风险较低"),
    "invoice_terms_raises_risk": ReasonText("Invoices on these terms are paid later", "该账期的发票付款较晚"),
    "invoice_terms_lowers_risk": ReasonText("Invoices on these terms are paid well", "该账期的发票付款良好"),
    "due_calendar_raises_risk": ReasonText(
        "Invoices falling due on such a day are paid later", "在此类日期到期的发票付款较晚"
    ),
    "due_calendar_lowers_risk": ReasonText(
        "Invoices falling due on such a day are paid well", "在此类日期到期的发票付款良好"
    ),
    "seller_record_raises_risk": ReasonText("The seller's invoices are often paid late", "该卖方的发票经常被逾期支付"),
    "seller_record_lowers_risk": ReasonText(
        "The seller's invoices are mostly paid on time", "该卖方的发票大多按期支付"
    ),
    "pair_record_raises_risk": ReasonText("This payer often pays this seller late", "该付款人对该卖方经常逾期付款"),
    "pair_record_lowers_risk": ReasonText("This payer mostly pays this seller on time", "该付款人对该卖方大多按期付款"),
    "no_history_raises_risk": ReasonText("Little is known about the payer yet", "对付款人了解尚少"),
    "no_history_lowers_risk": ReasonText(
        "The gaps in the payer's record point to lower risk", "付款人记录中的缺失显示较低风险"
    ),
    "company_facts_raises_risk": ReasonText(
        "The company's statements or credit report point to higher risk", "企业财务报表或征信报告显示较高风险"
    ),
    "company_facts_lowers_risk": ReasonText(
        "The company's statements or credit report point to lower risk", "企业财务报表或征信报告显示较低风险"
    ),
    "controller_facts_raises_risk": ReasonText(
        "What is known of the controller points to higher risk", "实际控制人信用状况显示较高风险"
    ),
    "controller_facts_lowers_risk": ReasonText(
        "What is known of the controller points to lower risk", "实际控制人信用状况显示较低风险"
    ),
    "prior_model": ReasonText(
        "Too few outcomes to fit a model: the payer's own rate mixed with a prior",
        "样本不足 采用付款人自身比率与先验值",
    ),
}
"""Every code the score can give, as a reader is told it."""

TOPIC_OF: dict[str, str] = {feature: topic for topic, names in TOPICS.items() for feature in names}
