"""Every kind of secret is known, wherever it stands, and ordinary text is not taken for one."""

from __future__ import annotations

import json

import pytest

from trinity import redaction
from trinity.secret_forms import LOOSE, TOKENS

_BODY = "a1B2c3D4e5" * 8
# Written in parts: whoever looks for secrets in this file shall find none.
TOKEN_EXAMPLES = {
    "private-key": "-----BEGIN EC " + "PRIVATE KEY-----\nMHcCAQEEIB\n-----END EC " + "PRIVATE KEY-----",
    "putty-key": "PuTTY-User-Key-" + "File-2: ssh-rsa\nAAAAB3\nPrivate-MAC: 0123456789abcdef",
    "age": "AGE-SECRET-" + "KEY-1QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "anthropic": "sk-ant-" + "api03-" + _BODY[:40],
    "openai": "sk-" + "proj-" + _BODY[:40],
    "github": "ghp" + "_" + _BODY[:36],
    "github-fine": "github" + "_pat_" + _BODY[:60],
    "gitlab": "glpat" + "-" + _BODY[:20],
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "slack": "xapp" + "-1-" + _BODY[:30],
    "webhook": "hooks.slack" + ".com/services/T00000000/B00000000/" + _BODY[:24],
    "telegram": "123456789" + ":AA" + _BODY[:33],
    "tailscale": "tskey" + "-auth-" + _BODY[:20],
    "google": "AIza" + _BODY[:35],
    "google-login": "GOCSPX" + "-" + _BODY[:28],
    "azure": "AccountKey" + "=" + _BODY[:80] + "Ab==",
    "npm": "npm" + "_" + _BODY[:36],
    "pypi": "pypi" + "-" + _BODY,
    "rubygems": "rubygems" + "_" + "0a1b2c3d" * 6,
    "docker": "dckr" + "_pat_" + _BODY[:27],
    "hugging-face": "hf" + "_" + _BODY[:34],
    "stripe": "sk" + "_live_" + _BODY[:24],
    "sendgrid": "SG" + "." + _BODY[:22] + "." + _BODY[:43],
    "twilio": "SK" + "0a1b2c3d" * 4,
    "digitalocean": "dop" + "_v1_" + "0a1b2c3d" * 8,
    "databricks": "dapi" + "0a1b2c3d" * 4,
    "vault": "hvs" + "." + _BODY[:24],
    "terraform": _BODY[:14] + ".atlas" + "v1." + _BODY[:67],
    "grafana": "glsa" + "_" + _BODY[:32] + "_0a1b2c3d",
    "sentry": "sntrys" + "_" + _BODY[:40],
    "shopify": "shpat" + "_" + "0a1b2c3d" * 4,
    "atlassian": "ATATT3" + _BODY[:60],
    "linear": "lin_" + "api_" + _BODY[:40],
    "figma": "figd" + "_" + _BODY[:40],
    "supabase": "sbp" + "_" + _BODY[:40],
    "postman": "PMAK" + "-" + "0a1b2c3d" * 3 + "-" + "0a1b2c3d" * 4,
    "new-relic": "NRAK" + "-" + "A1B2C3D4" * 3,
    "model-provider": "gsk" + "_" + _BODY[:52],
    "jwt": "eyJ" + "hbGciOiJI.eyJzdWIiOiIx." + _BODY[:20],
}
LOOSE_EXAMPLES = {
    "url-password": ("https://me:", "hunter2-xyz", "@example.invalid/p"),
    "authorization": ("Authorization: Bearer ", _BODY[:30], ""),
    "netrc": ("machine example.com login me password ", "hunter2xyz", ""),
    "assigned": ("AWS_SECRET_ACCESS_KEY=", "wJalrXUtnFEMI/K7MDENG", ""),
}
ASSIGNMENTS = [
    ('"db_password": "', "correct horse-8".replace(" ", ""), '"'),
    ("export API_KEY='", "all-lower-case", "'"),
    ("password: ", "s3cr3t-value", ""),
    ("_authToken=", "0123456789abcdef", ""),
    ("clientSecret => `", "abcdefgh", "`"),
]


def test_there_is_an_example_of_every_kind() -> None:
    assert set(TOKEN_EXAMPLES) == set(TOKENS) and set(LOOSE_EXAMPLES) == set(LOOSE)


@pytest.mark.parametrize("kind", TOKEN_EXAMPLES)
def test_a_token_is_known_wherever_it_stands(kind: str) -> None:
    secret = TOKEN_EXAMPLES[kind]
    tag = redaction.redact(secret)
    assert tag.startswith(f"[REDACTED-{kind}-") and len(tag) == len(f"[REDACTED-{kind}-123456]")
    assert redaction.first_token(f"x = '{secret}'\n".encode()) == kind
    assert redaction.first_token(f"x = '{secret}'\n".encode("utf-16")) == kind
    for text in (
        f"use {secret} now",
        f"TOKEN={secret}",
        f"password: '{secret}'",
        f"(https://u:{secret}@h/)",
        f"a,{secret};b",
    ):
        made = redaction.redact(text)
        assert secret not in made and tag in made, "the same secret has the same tag, whatever stands around it"
        assert redaction.redact(made) == made and redaction.suspicious(text.encode())
        nested = json.dumps({"a": json.dumps({"b": text})})
        assert json.dumps(secret)[1:-1] not in redaction.redact(nested)


@pytest.mark.parametrize("example", [*LOOSE_EXAMPLES.values(), *ASSIGNMENTS], ids=lambda example: example[0].strip())
def test_a_value_is_known_by_what_stands_around_it(example: tuple[str, str, str]) -> None:
    before, secret, after = example
    made = redaction.redact(before + secret + after)
    assert secret not in made and made.startswith(before) and made.endswith(after), "what is no secret stays readable"
    assert redaction.redact(made) == made and redaction.suspicious((before + secret + after).encode())
    assert redaction.first_token((before + secret + after).encode()) is None, "no reason to keep source code back"
    assert redaction.first_login((before + secret + after).encode()) is not None
    assert redaction.first_login(made.encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        "def login(password: Optional[str] = None, secret: SecretStr | None = None) -> Token:",
        "password = getpass.getpass()",
        "api_key = os.environ['API_KEY']",
        "secret: ${{ secrets.DEPLOY_KEY }}",
        "_authToken=${NPM_TOKEN}",
        "password: <your password>",
        "the secret: keep it simple; password: required",
        "access_token: string;",
        "https://example.invalid:8080/a@b",
        "task-skeleton sk-learn risk-adjusted-return",
        "a basic understanding of Bearer authentication",
        "glcm_features glass-ceiling SG.1 SKU figd AKIA",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redaction.redact(text) == text and redaction.first_token(text.encode()) is None
