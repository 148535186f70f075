"""What asking looks like on the wire: links, approvals, policies, papers, and what an obligor sees."""

from typing import Annotated

import marshmallow as ma
from msgspec import Meta, Struct

from exchange.bulk import ItemResult
from exchange.duplicates.schemas import Elsewhere
from exchange.receivables.schemas import DOCUMENT_KINDS, PRODUCTS, AssetId, DocumentSchema, InstalmentSchema
from exchange.schemas import MAX_MINOR, Id, Integer, List, Nested, OneOf, PageQuery, Schema, Text

LONGEST_LINK_DAYS = 90
LINK_DAYS = 14


class RequestItem(Struct, forbid_unknown_fields=True, frozen=True):
    """A receivable whose obligor is to be asked."""

    asset_id: AssetId
    valid_days: Annotated[int, Meta(ge=1, le=LONGEST_LINK_DAYS)] = LINK_DAYS


class RequestSchema(Schema):
    """A receivable whose obligor is to be asked, by a link that lives so many days."""

    asset_id = Id("ast", required=True)
    valid_days = Integer(1, LONGEST_LINK_DAYS, metadata={"default": LINK_DAYS})


class RequestsSchema(Schema):
    """Up to 1,000 receivables; those of one obligor share a link."""

    items = List(Nested(RequestSchema), 1, 1000, required=True)


class LinkSchema(ma.Schema):
    """A link for one obligor to answer by, without signing in. Who has it can answer: send it to nobody else."""

    request_id = Id("crq", required=True)
    url = ma.fields.String(required=True)
    expires_at = ma.fields.AwareDateTime(required=True)


class RequestResult(ItemResult, LinkSchema):
    """What became of one request. 201: asked, or asked already and the link is still open; 404, 409, 422: see `errors`.

    `answer_by` is the last day to speak where silence is acceptance.
    """

    asset_id = Id("ast")
    request_id = Id("crq")
    url = ma.fields.String()
    expires_at = ma.fields.AwareDateTime()
    answer_by = ma.fields.Date()


class RequestResults(ma.Schema):
    """One result for each item, in the same order."""

    items = ma.fields.List(ma.fields.Nested(RequestResult), required=True)


class RequestShown(LinkSchema):
    """A link with what is behind it, and how many of its receivables wait for their answer."""

    obligor_name = ma.fields.String(required=True, allow_none=True)
    made_at = ma.fields.AwareDateTime(required=True)
    asset_ids = ma.fields.List(Id("ast"), required=True)
    waiting = ma.fields.Integer(required=True)


class RequestsShown(ma.Schema):
    """A page of links."""

    items = ma.fields.List(ma.fields.Nested(RequestShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class ApprovalSchema(Schema):
    """What a second client says: approved, or declined with a reason."""

    asset_id = Id("ast", required=True)
    outcome = OneOf("approved", "declined", required=True)
    reason = Text(200)


class ApprovalsSchema(Schema):
    """Up to 1,000 approvals, each judged by itself."""

    items = List(Nested(ApprovalSchema), 1, 1000, required=True)


class AwaitedApproval(ma.Schema):
    """A receivable that waits for a second client, and who submitted it."""

    asset_id = Id("ast", required=True)
    made_by = Id("cli", required=True)
    invoice_number = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    face_minor = ma.fields.Integer(required=True)
    due_date = ma.fields.Date(required=True)
    submitted_at = ma.fields.AwareDateTime(required=True)


class AwaitedApprovals(ma.Schema):
    """A page of receivables that wait for approval."""

    items = ma.fields.List(ma.fields.Nested(AwaitedApproval), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class ApprovalRuleSchema(Schema):
    """Submissions in this currency above `over_minor` need a second client's approval; 0 for all of them."""

    currency = Text(3, pattern="[A-Z]{3}", required=True)
    over_minor = Integer(0, MAX_MINOR, required=True)


class SilenceRuleSchema(Schema):
    """Silence is acceptance for this product, after the days of the law (ISO 3166: BR, CL) or as many as stated.

    Where no law counts silence, `after_days` are those of the contract, whose digest has to be among the papers.
    """

    product = OneOf(*PRODUCTS, required=True)
    jurisdiction = Text(2, pattern="[A-Z]{2}", required=True)
    after_days = Integer(1, LONGEST_LINK_DAYS - 1)


class PolicySchema(Schema):
    """An originator's policy for its submissions. An empty list: nobody approves, silence is no answer."""

    approvals = List(Nested(ApprovalRuleSchema), 0, 50, required=True)
    silence = List(Nested(SilenceRuleSchema), 0, len(PRODUCTS), required=True)


class PolicyShown(PolicySchema):
    """The policy in force; version 0 before the first."""

    version = ma.fields.Integer(required=True)


class UploadQuery(Schema):
    """What the paper is called at home."""

    name = Text(200)


class Uploaded(ma.Schema):
    """A paper's digest, computed here. Its bytes are not kept: keep them, they are what the digest proves.

    `near_duplicate_of` are assets of your own that have the same paper; of others you learn in `similar_elsewhere` only
    that there are some.
    """

    kind = OneOf(*DOCUMENT_KINDS, required=True)
    sha256 = ma.fields.String(required=True)
    size_bytes = ma.fields.Integer(required=True)
    near_duplicate_of = ma.fields.List(Id("ast"))
    similar_elsewhere = ma.fields.List(ma.fields.Nested(Elsewhere))


class OwedQuery(PageQuery):
    """Which of the receivables that name you: those that wait for your answer, or all."""

    waiting = OneOf("yes", "no", load_default="no")


class Owed(ma.Schema):
    """A receivable that names you as its obligor, and your answer when you gave one.

    `schedule` are its instalments, where not all is due on the due date.
    """

    asset_id = Id("ast", required=True)
    originator_name = ma.fields.String(required=True)
    seller_name = ma.fields.String(required=True, allow_none=True)
    seller_number = ma.fields.String(required=True)
    invoice_number = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    face_minor = ma.fields.Integer(required=True)
    issue_date = ma.fields.Date(required=True)
    due_date = ma.fields.Date(required=True)
    documents = ma.fields.List(ma.fields.Nested(DocumentSchema), required=True)
    schedule = ma.fields.List(ma.fields.Nested(InstalmentSchema), required=True, allow_none=True)
    answer = ma.fields.String(required=True, allow_none=True)


class OwedPage(ma.Schema):
    """A page of receivables that name you."""

    items = ma.fields.List(ma.fields.Nested(Owed), required=True)
    next = ma.fields.String(required=True, allow_none=True)
