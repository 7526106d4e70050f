"""Files that stay on this PC because they hold secrets: by their name, or by a key or token in their content.

A withheld file is never rewritten: half a configuration would be worse than none. Only forms that are nothing else count;
what merely looks like an assignment to `password` is ordinary source code.
"""

from __future__ import annotations

import fnmatch

from trinity.work import redaction

_NAMES = (
    (".env*", "an environment file"),
    ("*.pem", "a key or certificate"),
    ("id_rsa*", "an ssh key"),
    ("id_dsa*", "an ssh key"),
    ("id_ecdsa*", "an ssh key"),
    ("id_ed25519*", "an ssh key"),
    ("*.p12", "a key store"),
    ("*.pfx", "a key store"),
    ("*.jks", "a key store"),
    ("*.keystore", "a key store"),
    ("*.kdbx", "a password store"),
    ("*.ppk", "an ssh key"),
    (".netrc", "passwords"),
    ("_netrc", "passwords"),
    (".pgpass", "passwords"),
    (".htpasswd", "passwords"),
    (".git-credentials", "passwords"),
    (".credentials.json", "a login"),
)
# Templates and public halves are made to be shared.
_PUBLIC = (".env.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults", "*.pub")
_WORDS = {"private-key": "a private key"}


def withheld(path: str, content: bytes) -> str | None:
    """Why this file stays, None when it may travel."""
    name = path.rpartition("/")[2].lower()
    if not any(fnmatch.fnmatchcase(name, pattern) for pattern in _PUBLIC):
        for pattern, what in _NAMES:
            if fnmatch.fnmatchcase(name, pattern):
                return f"{what}, by its name"
    kind = redaction.first_token(content)
    return _WORDS.get(kind, f"a token ({kind})") if kind else None
