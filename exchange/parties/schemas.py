"""What parties look like on the wire."""

import marshmallow as ma

from exchange.schemas import Id, Nested, OneOf, Schema, Text


class PublicJwk(Schema):
    """An Ed25519 public key (RFC 8037)."""

    kty = OneOf("OKP", required=True)
    crv = OneOf("Ed25519", required=True)
    x = Text(43, pattern="[A-Za-z0-9_-]{43}", required=True)
    kid = Text(100)
    alg = OneOf("EdDSA", "Ed25519")
    use = OneOf("sig")


class NewParty(Schema):
    """A party and the key of its first client."""

    name = Text(200, required=True)
    public_jwk = Nested(PublicJwk, required=True)


class NewClient(Schema):
    """The key of one more client."""

    public_jwk = Nested(PublicJwk, required=True)


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
