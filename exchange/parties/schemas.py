"""What parties look like on the wire."""

import marshmallow as ma

from exchange.jose import ALGORITHMS
from exchange.schemas import Id, Nested, OneOf, Schema, Text

BASE64URL = "[A-Za-z0-9_-]+"


class PublicJwk(Schema):
    """A public key: Ed25519 (RFC 8037, `crv` and `x`), P-256 (`crv`, `x` and `y`), or RSA (`n` and `e`)."""

    kty = OneOf("OKP", "EC", "RSA", required=True)
    crv = OneOf("Ed25519", "P-256")
    x = Text(43, pattern=BASE64URL)
    y = Text(43, pattern=BASE64URL)
    n = Text(1024, pattern=BASE64URL)
    e = Text(8, pattern=BASE64URL)
    kid = Text(100)
    alg = OneOf(*ALGORITHMS)
    use = OneOf("sig")


class NewParty(Schema):
    """A party and the key of its first client."""

    name = Text(200, required=True)
    public_jwk = Nested(PublicJwk, required=True)


class NewClient(Schema):
    """The key of one more client."""

    public_jwk = Nested(PublicJwk, required=True)


class NewKey(Schema):
    """The next key of a client."""

    public_jwk = Nested(PublicJwk, required=True)


class KeyAdded(ma.Schema):
    """A key by its thumbprint (RFC 7638, SHA-256)."""

    thumbprint = ma.fields.String(required=True)


class ClientKeyShown(KeyAdded):
    """A key in use."""

    public_jwk = ma.fields.Dict(required=True)
    added_at = ma.fields.AwareDateTime(required=True)


class ClientKeysShown(ma.Schema):
    """The keys of a client, the oldest first."""

    items = ma.fields.List(ma.fields.Nested(ClientKeyShown), required=True)


class SubjectQuery(Schema):
    """What signed requests are asked for."""

    subject = Text(64, required=True)


class SignedRequestShown(ma.Schema):
    """A request as it was signed (RFC 9421): what is needed to verify it, and the key to do it with."""

    client_id = Id("cli", required=True)
    received_at = ma.fields.AwareDateTime(required=True)
    method = ma.fields.String(required=True)
    url = ma.fields.String(required=True)
    headers = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String(), required=True)
    body = ma.fields.String(required=True, metadata={"contentEncoding": "base64"})
    public_jwk = ma.fields.Dict(required=True)


class SignedRequestsShown(ma.Schema):
    """What was signed about one thing, the oldest first."""

    items = ma.fields.List(ma.fields.Nested(SignedRequestShown), required=True)


class ClientCreated(Schema):
    """One more client of a party."""

    client_id = Id("cli", required=True)


class NewObligor(Schema):
    """A company that answers for itself, and the key it answers with.

    Named by an originator's own number (`platform`), it is that originator's customer: say whose.
    """

    scheme = OneOf("uscc", "lei", "platform", required=True)
    value = Text(64, required=True)
    name = Text(200)
    originator_id = Id("org")
    public_jwk = Nested(PublicJwk, required=True)


class ObligorCreated(Schema):
    """An obligor with a client of its own."""

    company_id = Id("com", required=True)
    client_id = Id("cli", required=True)


class OriginatorCreated(Schema):
    """A new originator."""

    originator_id = Id("org", required=True)
    client_id = Id("cli", required=True)


class FunderCreated(Schema):
    """A new funder. Money that carries `deposit_reference` becomes its cash."""

    funder_id = Id("fnd", required=True)
    client_id = Id("cli", required=True)
    deposit_reference = Id("dep", required=True)


class PartnerCreated(Schema):
    """A new partner."""

    partner_id = Id("ptr", required=True)
    client_id = Id("cli", required=True)


class AccessToken(ma.Schema):
    """An OAuth 2.0 token response (RFC 6749)."""

    access_token = ma.fields.String(required=True)
    token_type = ma.fields.String(required=True)
    expires_in = ma.fields.Integer(required=True)
