"""Files that stay on this PC because they hold secrets: by their name, or by a key or token in their content.

A withheld file is never rewritten: half a configuration would be worse than none. Only forms that are nothing else count;
what merely looks like an assignment to `password` is ordinary source code, except in files that are made to hold logins.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

from trinity import redaction

_NAMES = (
    (".env", "an environment file"),
    (".env.*", "an environment file"),
    (".envrc", "an environment file"),
    ("*.env", "an environment file"),
    ("*.pem", "a key or certificate"),
    ("*.key", "a key"),
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
    ("*.ovpn", "a login"),
    ("*.tfstate", "a state with secrets"),
    ("*.tfstate.backup", "a state with secrets"),
    ("secrets.*", "secrets"),
    (".netrc", "passwords"),
    ("_netrc", "passwords"),
    (".pgpass", "passwords"),
    (".my.cnf", "passwords"),
    (".htpasswd", "passwords"),
    (".vault_pass*", "passwords"),
    (".git-credentials", "passwords"),
    (".credentials.json", "a login"),
    ("credentials.tfrc.json", "a login"),
    (".s3cfg", "a login"),
    (".boto", "a login"),
)
# Templates and public halves are made to be shared, and source code of these names is no file of secrets.
_PUBLIC = (
    *(f"{name}.{end}" for name in (".env", "secrets") for end in ("example", "sample", "template", "dist", "defaults")),
    *("*.pub", "secrets.py", "secrets.rs", "secrets.go", "secrets.ts", "secrets.js", "secrets.md", "secrets.c"),
)
# Settings of tools in which a login stands beside other things.
_LOGINS = (
    *(".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc", "pip.conf", "pip.ini", ".dockercfg", ".gitconfig", ".gitmodules"),
    *("nuget.config", "auth.json", "credentials", "credentials.*", "kubeconfig", "*.kubeconfig", "*.tfvars", ".curlrc"),
    *(".wgetrc", ".bunfig.toml", "gradle.properties", "settings.xml", ".condarc", "poetry.toml", "uv.toml"),
)
_DOCKER = b'"auth"'
_WORDS = {"private-key": "a private key"}


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{fnmatch.translate(pattern)})" for pattern in patterns))


# Asked of every file: one expression each instead of a list of patterns.
_NAMED = _any(pattern for pattern, _ in _NAMES)
_SHARED = _any(_PUBLIC)
_SETTINGS = _any(_LOGINS)


def withheld(path: str, content: bytes) -> str | None:
    """Why this file stays, None when it may travel."""
    name = path.rpartition("/")[2].lower()
    if _NAMED.match(name) and not _SHARED.match(name):
        return next(f"{what}, by its name" for pattern, what in _NAMES if fnmatch.fnmatchcase(name, pattern))
    return in_name(path) or in_content(path, content)


def in_named(path: str, content: bytes) -> str | None:
    """The same for a file that a person named to travel: not by its name, but strictly by what is in it."""
    if redaction.first_login(content):
        return "a login"
    return in_name(path) or in_content(path, content)


def in_name(path: str) -> str | None:
    """Why a thing of this name stays, whatever is in it."""
    kind = redaction.first_token(path.encode("utf-8", "surrogateescape"))
    return f"a token in its name ({kind})" if kind else None


def in_content(path: str, content: bytes) -> str | None:
    """Why a file with this content stays, whatever it is called; the path says how strictly it is looked at."""
    kind = redaction.first_token(content)
    if kind:
        return _WORDS.get(kind, f"a token ({kind})")
    name = path.rpartition("/")[2].lower()
    if _SETTINGS.match(name) and redaction.first_login(content):
        return "a login in a file of settings"
    if name == "config.json" and path.lower().endswith(".docker/config.json") and _DOCKER in content:
        return "a login in a file of settings"
    return None
