"""How the client writes a line, as patterns over bytes: what the fast way may take without parsing.

An answer's line is its beginning (`BEGIN`, to the first block of its content), the content, and what stands behind it
(`BEHIND_ALL`, whose end is a `PLACE`). Each pattern takes only plain values, so that a line which fits is read as JSON
would be.
Seen from 2.1.197 to 2.1.332; a line of another shape costs a parse, never a wrong number.
"""

from __future__ import annotations

import re

_PLAIN = rb'(?:"[^"\\]*+"|null|true|false|-?[\d.]+|\[\]|\{[^{}\\]*\}|\{"applied_edits":\[[^\[\]\\]*\]\})'
_COUNT = rb"(\d{1,15})"
_SELDOM = rb"(?:0|(\d{1,15}))"
_NAME = rb'"([!#-\[\]-~]++)"'  # what needs no escape and is ASCII

# 1 agent, 2 and 5 model, 3 and 4 message id: an answer, to the type of its first block. 6 is set for a user's line. Neither:
# it bills nothing.
BEGIN = re.compile(
    rb'\{(?:"parentUuid":(?:null|"[^"\\]*+"),(?:"logicalParentUuid":(?:null|"[^"\\]*+"),)?"isSidechain":(?:false|true),'
    rb'(?:"agentId":' + _NAME + rb",)?"
    rb'(?:"message":\{(?:"model":' + _NAME + rb',"id":' + _NAME + rb'|"id":' + _NAME + rb')'
    rb',"type":"message","role":"assistant",(?:"model":' + _NAME + rb',)?"content":\[\{"type":"'
    rb'|(?:"promptId":"[^"\\]*+",)?(?:"agentId":"[^"\\]*+",)?(?:"type":"(?:(user)|system)"|"attachment":\{))'
    rb'|"type":"(?!assistant"|user"))'
)  # fmt: skip
# How a line begins whose parent's id is as long as the client's, and where that id ends.
PARENT = re.compile(rb'\{"parentUuid":"[^"\\]{36}"')
PARENT_ENDS = 51
# The rest of the first block's type, when it is a tool's.
TOOLS = (b'tool_use"', b'server_tool_use"')
TOOL = re.compile(rb'(?:server_)?tool_use","id":"[^"\\]*+","name":"([^"\\]*+)"')
BEHIND = b'],"stop_reason":'
USED = b'"usage":{"input_tokens":'
OUTPUT = b'"output_tokens":'
OUT = re.compile(_COUNT)
TYPE = b'"type":"assistant"'
# Where the end of an answer's line would be found in a line that is none: a client was killed in the middle of that one.
NEAR_THE_END = 4096


def _but(*keys: bytes) -> bytes:
    """Members with plain values up to one of these, or to one that makes a line another than it looks."""
    named = b"|".join((*keys, b"requestSessionId", b"isApiErrorMessage", b"forkedFrom"))
    return rb'(?:,"(?!(?:' + named + rb')")\w++":' + _PLAIN + rb")*+"


# What stands behind an answer's content, to the end of its line. 1 input, 2 cache written, 3 cache read, 4 of the written
# one hour, 5 output, 6 web searches, 7 web fetches, 8 tier, 9 one hour where it stands behind, 10 iterations, 11 speed,
# 12 request, 13 minute, 14 seconds, 15 what follows; what is mostly 0 is then no group
BEHIND_ALL = re.compile(
    rb'\],"stop_reason":(?:null|"\w+"),"stop_sequence":(?:null|"[^"\\]*"),(?:"stop_details":null,)?'
    rb'"usage":\{"input_tokens":'
    + _COUNT + rb',"cache_creation_input_tokens":' + _COUNT + rb',"cache_read_input_tokens":' + _COUNT
    + rb'(?:,"cache_creation":\{"ephemeral_5m_input_tokens":\d{1,15},"ephemeral_1h_input_tokens":' + _SELDOM + rb"\})?"
    rb',"output_tokens":' + _COUNT + rb'(?:,"output_tokens_details":\{[^{}\\]*\})?'
    rb'(?:,"server_tool_use":\{"web_search_requests":' + _SELDOM + rb',"web_fetch_requests":' + _SELDOM + rb"\})?"
    rb'(?:,"service_tier":(?:null|"(\w*)"))?'
    rb'(?:,"cache_creation":\{"ephemeral_1h_input_tokens":' + _SELDOM + rb',"ephemeral_5m_input_tokens":\d{1,15}\})?'
    rb'(?:,"inference_geo":(?:null|"[^"\\]*"))?'
    rb'(?:,"iterations":(?:null|\[((?:[^\[\]{}\\]|\{(?:[^\[\]{}\\]|\{[^\[\]{}\\]*\})*\})*)\]))?'
    rb'(?:,"speed":(?:null|"(\w*)"))?(?:,"fallback_credit":null)?\}'
    rb'(?:,"stop_details":null)?' + _but() + rb"\}" + _but(b"requestId", b"type") + rb'(?:,"requestId":' + _NAME + rb")?"
    + _but(b"type") + rb',"type":"assistant"' + _but(b"timestamp")
    + rb',"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d\.\d{3})Z"([^\n]*+)\n'
)  # fmt: skip
# What follows the time, mostly the same in every line of a session: 1 folder, 2 session, 3 session that asked
PLACE = re.compile(
    _but(b"cwd") + rb',"cwd":"((?:[^"\\]++|\\\\)*+)","sessionId":"([^"\\]*+)"' + _but()
    + rb'(?:,"requestSessionId":"([^"\\]*)"' + _but() + rb")?\}\r?"
)  # fmt: skip
TIMESTAMP = b'"timestamp":"'
MOMENT = re.compile(rb'"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d\.\d{3})Z"')
