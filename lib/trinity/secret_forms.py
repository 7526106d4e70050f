"""The forms that secrets have: each kind by its public prefix or shape, and what must stand in a text that could hold one.

`TOKENS` are nothing but secrets wherever they stand. `LOOSE` are secrets by what stands around them: they are replaced in a
conversation, but do not keep a file back, because ordinary source code is full of assignments to `password`.
"""

from __future__ import annotations

# kind: (form, what a text with one of these must hold)
TOKENS: dict[str, tuple[str, tuple[str, ...]]] = {
    "private-key": (
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
        r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
        ("PRIVATE KEY",),
    ),
    "putty-key": (r"PuTTY-User-Key-File-\d:.*?(?:Private-MAC: [0-9a-fA-F]+|\Z)", ("PuTTY-User-Key-File-",)),
    "age": (r"AGE-SECRET-KEY-1[A-Z0-9]{20,}", ("AGE-SECRET-KEY-1",)),
    "anthropic": (r"sk-ant-[A-Za-z0-9_-]{8,}", ("sk-ant-",)),
    "openai": (r"(?<![A-Za-z0-9])sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}", ("sk-",)),
    "github": (r"gh[pousr]_[A-Za-z0-9]{20,}", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
    "github-fine": (r"github_pat_[A-Za-z0-9_]{20,}", ("github_pat_",)),
    "gitlab": (
        r"gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent|imt|oas)-[A-Za-z0-9_.-]{16,}",
        ("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glft-", "glsoat-", "glagent-", "glimt-", "gloas-"),
    ),
    "aws": (r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b", ("AKIA", "ASIA", "ABIA", "ACCA")),
    "slack": (r"(?:xox[abeprs]|xapp)-[A-Za-z0-9-]{10,}", ("xox", "xapp-")),
    "webhook": (
        r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}"
        r"|discord(?:app)?\.com/api/webhooks/\d{10,}/[A-Za-z0-9_-]{30,}",
        ("hooks.slack.com/", "/api/webhooks/"),
    ),
    "telegram": (r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b", (":AA",)),
    "tailscale": (r"tskey-[A-Za-z0-9-]{10,}", ("tskey-",)),
    "google": (r"\bAIza[A-Za-z0-9_-]{30,}", ("AIza",)),
    "google-login": (r"GOCSPX-[A-Za-z0-9_-]{20,}|\bya29\.[A-Za-z0-9_-]{20,}", ("GOCSPX-", "ya29.")),
    "azure": (r"AccountKey=[A-Za-z0-9+/]{60,}={0,2}|\bsig=[A-Za-z0-9%]{43,}", ("AccountKey=", "sig=")),
    "npm": (r"\bnpm_[A-Za-z0-9]{30,}", ("npm_",)),
    "pypi": (r"pypi-[A-Za-z0-9_-]{50,}", ("pypi-",)),
    "rubygems": (r"rubygems_[0-9a-f]{40,}", ("rubygems_",)),
    "docker": (r"dckr_[a-z]{3}_[A-Za-z0-9_-]{20,}", ("dckr_",)),
    "hugging-face": (r"\bhf_[A-Za-z0-9]{30,}", ("hf_",)),
    "stripe": (
        r"\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9+/=]{24,}",
        ("k_live_", "k_test_", "whsec_"),
    ),
    "sendgrid": (r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", ("SG.",)),
    "twilio": (r"\bSK[0-9a-f]{32}\b", ("SK",)),
    "digitalocean": (r"\bdo[opr]_v1_[0-9a-f]{40,}", ("_v1_",)),
    "databricks": (r"\bdapi[0-9a-f]{32}\b", ("dapi",)),
    "vault": (r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}", ("hvs.", "hvb.", "hvr.")),
    "terraform": (r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}", (".atlasv1.",)),
    "grafana": (r"\bglsa_[A-Za-z0-9]{30,}_[0-9a-f]{8}|\bglc_[A-Za-z0-9+/=]{32,}", ("glsa_", "glc_")),
    "sentry": (r"\bsntry[su]_[A-Za-z0-9+/=_-]{30,}", ("sntry",)),
    "shopify": (r"\bshp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}", ("shpat_", "shpca_", "shppa_", "shpss_")),
    "atlassian": (r"\bATATT3[A-Za-z0-9_=-]{40,}", ("ATATT3",)),
    "linear": (r"\blin_(?:api|oauth)_[A-Za-z0-9]{30,}", ("lin_",)),
    "figma": (r"\bfig[dou]_[A-Za-z0-9_-]{30,}", ("figd_", "figo_", "figu_")),
    "supabase": (r"\bsb[ps]_[A-Za-z0-9_]{30,}|\bsb_secret_[A-Za-z0-9_-]{20,}", ("sbp_", "sbs_", "sb_secret_")),
    "postman": (r"\bPMAK-[0-9a-f]{24}-[0-9a-f]{20,}", ("PMAK-",)),
    "new-relic": (r"\bNRAK-[A-Z0-9]{20,}", ("NRAK-",)),
    "model-provider": (
        r"\b(?:gsk_[A-Za-z0-9]{40,}|xai-[A-Za-z0-9]{40,}|pplx-[A-Za-z0-9]{40,}|r8_[A-Za-z0-9]{30,}|nvapi-[A-Za-z0-9_-]{40,})",
        ("gsk_", "xai-", "pplx-", "r8_", "nvapi-"),
    ),
    "jwt": (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}", ("eyJ",)),
}

# What comes before a value, and its beginning: a reference to something is no secret.
_GIVEN = r"[A-Za-z0-9_]{0,30}\\?[\"']?\s{0,4}(?:=>|:=|=|:)\s{0,4}"
_NO_VALUE = r"(?![$<{%(\[]|(?:os|process|env|self|config|settings|args|this|REDACTED)\b\.?)"
_VALUE = r"[^\s&'\"`\\\[\]()<>]{8,400}+(?![(\[<])"

# kind: form; the group `KIND_value`, when there is one, is the secret.
LOOSE: dict[str, str] = {
    "url-password": r"(?<=://)[^\s/:@]{1,200}:(?P<url_value>(?!\[REDACTED-)[^\s/@]{1,200})(?=@)",
    "authorization": r"(?i:bearer|basic)\s{1,4}(?P<authorization_value>(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{16,})",
    "netrc": r"machine\s+\S+\s+login\s+\S+\s+password\s+(?P<netrc_value>(?!\[REDACTED-)\S+)",
    "assigned": (
        r"(?i:passw(?:or)?d|passphrase|secret|(?:api|access|private|signing|encryption|account)[_-]?key"
        r"|(?:access|auth|refresh|bot|session)[_-]?token|_auth)"
        + _GIVEN
        + r"(?:\\?[\"'`](?P<assigned_quoted>"
        + _NO_VALUE
        # Without quotes a word without a digit is more often a type or a name than a secret.
        + _VALUE
        + r")|(?P<assigned_value>"
        + _NO_VALUE
        + r"(?=[^\s&'\"`\\]*[0-9!@#%^*+])"
        + _VALUE
        + r"))"
    ),
}
LOOSE_MARKS = (
    "passw", "passphrase", "secret", "apikey", "api_key", "api-key", "accesskey", "access_key", "access-key",
    "privatekey", "private_key", "private-key", "signingkey", "signing_key", "signing-key", "encryptionkey",
    "encryption_key", "encryption-key", "accountkey", "account_key", "account-key", "accesstoken", "access_token",
    "access-token", "authtoken", "auth_token", "auth-token", "refreshtoken", "refresh_token", "refresh-token",
    "bottoken", "bot_token", "bot-token", "sessiontoken", "session_token", "session-token", "_auth", "bearer", "basic",
)  # fmt: skip
