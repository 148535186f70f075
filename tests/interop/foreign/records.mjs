// Records as other people's software sees them: jose (RFC 7515, 8037), @sd-jwt/core (RFC 9901), canonicalize (RFC 8785).
// Reads {jwks, records: [{jws, disclosures, others}]} on standard input; says what held of each, or why not.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const modules = createRequire(pathToFileURL(`${process.argv[2]}/package.json`));
const { compactVerify, createLocalJWKSet } = await import(pathToFileURL(modules.resolve("jose")));
const { SDJwtInstance } = modules("@sd-jwt/core");
const canonicalize = modules("canonicalize");

const { jwks, records } = JSON.parse(readFileSync(0, "utf8"));
const keys = createLocalJWKSet(jwks);
const hasher = (data) => createHash("sha256").update(data).digest();
const verifier = async (data, signature) => {
  await compactVerify(`${data}.${signature}`, keys, { algorithms: ["EdDSA"] });
  return true;
};
const sdjwt = new SDJwtInstance({ hasher, hashAlg: "sha-256", verifier });

const attempt = async (work) => {
  try {
    return await work();
  } catch (error) {
    return { error: String(error.message) };
  }
};
const tampered = (jws) => jws.slice(0, -8) + (jws.at(-8) === "A" ? "B" : "A") + jws.slice(-7);
const opened = async (jws, disclosures) => (await sdjwt.verify([jws, ...disclosures, ""].join("~"))).payload;

const answers = [];
for (const { jws, disclosures, others } of records) {
  const verified = await attempt(() => compactVerify(jws, keys, { algorithms: ["EdDSA"] }));
  const payload = Buffer.from(verified.payload ?? "").toString("utf8");
  answers.push({
    header: verified.protectedHeader ?? verified,
    canonical: payload !== "" && canonicalize(JSON.parse(payload)) === payload,
    tampered: await attempt(() => compactVerify(tampered(jws), keys, { algorithms: ["EdDSA"] })),
    closed: await attempt(() => opened(jws, [])),
    open: await attempt(() => opened(jws, disclosures)),
    swapped: await attempt(() => opened(jws, others)),
  });
}
process.stdout.write(JSON.stringify(answers));
