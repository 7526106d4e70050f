"""Whether the user's settings run these hooks already: then the plugin's copies step aside, and an event counts once.

The installer writes `HOME/registered/<profile_key>` for each profile: one line, the text that stands in that profile's
`settings.json` as long as the hooks are registered there. A settings file that lost it (restored, edited
by hand) makes the plugin record again. Both are read, never parsed: this runs at every hook of the plugin.
"""

from zlib import crc32

from trinity.hooks import system

FOLDER = "registered"
_SETTINGS_LIMIT = 4 << 20


def profile_key(config_dir: str) -> str:
    """A short name for a profile (a `CLAUDE_CONFIG_DIR`), fit for a file name: eight hex digits.

    Both separators are one here, and the last one does not count: on Windows people write both.
    """
    place = config_dir.replace("\\", "/").rstrip("/")
    return f"{crc32(place.encode('utf-8', 'replace')):08x}"


def in_settings(home: str) -> bool:
    """Whether the profile of this client has the hooks in its settings."""
    config_dir = system.environment("CLAUDE_CONFIG_DIR")
    if not config_dir:
        config_dir = f"{system.user_folder()}/.claude"
    try:
        mark = system.read_file(f"{home}/{FOLDER}/{profile_key(config_dir)}", 4096).strip()
        return bool(mark) and mark in system.read_file(f"{config_dir}/settings.json", _SETTINGS_LIMIT)
    except OSError:
        return False
