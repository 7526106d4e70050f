"""How the client writes a line, as patterns over bytes: what the fast way may take without parsing.

An answer's line is its beginning (`BEGIN`, to the first block of its content), the content, what stands behind it (`USAGE`)
and the end (`TAIL`). Each pattern takes only plain values, so that a line which fits all three is read as JSON would be.
Seen from 2.1.197 to 2.1.332; a line of another shape costs a parse, never a wrong number.
"""

from __future__ import annotations

import re

_PLAIN = rb'(?:"[^"\\]*+"|null|true|false|-?[\d.]+|\[\]|\{[^{}\\]*\}|\{"applied_edits":\[[^\[\]\\]*\]\})'
_COUNT = rb"(\d{1,15})"
_SELDOM = rb"(?:0|(\d{1,15}))"
_NAME = rb'"([!#-\[\]-~]++)"'  # what needs no escape and is ASCII

# 1 agent, 2 and 5 model, 3 and 4 message id, 6 tool: an answer. 7 is set for a user's line. Neither: it bills nothing.
BEGIN = re.compile(
    rb'\{(?:"parentUuid":(?:null|"[^"\\]*+"),(?:"logicalParentUuid":(?:null|"[^"\\]*+"),)?"isSidechain":(?:false|true),'
    rb'(?:"agentId":' + _NAME + rb",)?"
    rb'(?:"message":\{(?:"model":' + _NAME + rb',"id":' + _NAME + rb'|"id":' + _NAME + rb')'
    rb',"type":"message","role":"assistant",(?:"model":' + _NAME + rb',)?"content":\[\{'
    rb'"type":"(?:tool_use","id":"[^"\\]*+","name":"([^"\\]*+)"|\w+")'
    rb'|(?:"promptId":"[^"\\]*+",)?(?:"agentId":"[^"\\]*+",)?(?:"type":"(?:(user)|system)"|"attachment":\{))'
    rb'|"type":"(?!assistant"|user"))'
)  # fmt: skip
BEHIND = b'],"stop_reason":'
# 1 input, 2 cache written, 3 cache read, 4 of the written one hour, 5 output, 6 web searches, 7 web fetches, 8 tier, 9 one
# hour where it stands behind, 10 iterations, 11 speed; what is mostly 0 is then no group
USAGE = re.compile(
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
)  # fmt: skip


def _but(*keys: bytes) -> bytes:
    """Members with plain values up to one of these, or to one that makes a line another than it looks."""
    named = b"|".join((*keys, b"requestSessionId", b"isApiErrorMessage", b"forkedFrom"))
    return rb'(?:,"(?!(?:' + named + rb')")\w++":' + _PLAIN + rb")*+"


# 1 request, 2 minute, 3 seconds, 4 folder, 5 session, 6 session that asked
TAIL = re.compile(
    rb'(?:,"stop_details":null)?' + _but() + rb"\}" + _but(b"requestId", b"type") + rb'(?:,"requestId":' + _NAME + rb")?"
    + _but(b"type") + rb',"type":"assistant"' + _but(b"timestamp")
    + rb',"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d\.\d{3})Z"' + _but(b"cwd")
    + rb',"cwd":"((?:[^"\\]++|\\\\)*+)","sessionId":"([^"\\]*+)"' + _but()
    + rb'(?:,"requestSessionId":"([^"\\]*)"' + _but() + rb")?\}\r?\n"
)  # fmt: skip
REQUEST = re.compile(rb'"requestId":"([^"\\]*)"')
TIMESTAMP = b'"timestamp":"'
MOMENT = re.compile(rb'"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d\.\d{3})Z"')
