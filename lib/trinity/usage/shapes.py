"""How the client writes a line, as patterns over bytes: what the fast way may take without parsing.

An answer's line is its beginning (`HEAD`, to the first block of its content), the content, what stands behind it (`USAGE`)
and the end (`TAIL`). Each pattern takes only plain values, so that a line which fits all three is read as JSON would be.
Seen from 2.1.197 to 2.1.332; a line of another shape costs a parse, never a wrong number.
"""

from __future__ import annotations

import re

_PLAIN = rb'(?:null|true|false|-?[\d.]+|"[^"\\]*"|\[\]|\{[^{}\\]*\}|\{"applied_edits":\[[^\[\]\\]*\]\})'
_COUNT = rb"(\d{1,15})"

# 1 agent, 2 and 5 model, 3 and 4 message id, 6 kind of the first block, 7 tool
HEAD = re.compile(
    rb'\{"parentUuid":(?:null|"[^"\\]*"),"isSidechain":(?:false|true),(?:"agentId":"([^"\\]*)",)?"message":\{'
    rb'(?:"model":"([^"\\]+)","id":"([^"\\]+)"|"id":"([^"\\]+)"),"type":"message","role":"assistant",'
    rb'(?:"model":"([^"\\]+)",)?"content":\[\{"type":"(\w+)"(?:,"id":"[^"\\]*","name":"([^"\\]*)")?'
)
# Lines that bill nothing; 1 is set for a user's.
OTHER = re.compile(
    rb'\{"parentUuid":(?:null|"[^"\\]*"),(?:"logicalParentUuid":(?:null|"[^"\\]*"),)?"isSidechain":(?:false|true),'
    rb'(?:"promptId":"[^"\\]*",)?(?:"agentId":"[^"\\]*",)?(?:"type":"(?:(user)|system)"|"attachment":\{)'
    rb'|\{"type":"(?!assistant"|user")'
)
BEHIND = b'],"stop_reason":'
# 1 input, 2 cache written, 3 cache read, 4 of the written one hour, 5 output, 6 web searches, 7 web fetches, 8 tier, 9 one
# hour where it stands behind, 10 iterations, 11 speed
USAGE = re.compile(
    rb'\],"stop_reason":(?:null|"\w+"),"stop_sequence":(?:null|"[^"\\]*"),(?:"stop_details":null,)?'
    rb'"usage":\{"input_tokens":'
    + _COUNT + rb',"cache_creation_input_tokens":' + _COUNT + rb',"cache_read_input_tokens":' + _COUNT
    + rb'(?:,"cache_creation":\{"ephemeral_5m_input_tokens":\d{1,15},"ephemeral_1h_input_tokens":' + _COUNT + rb"\})?"
    rb',"output_tokens":' + _COUNT + rb'(?:,"output_tokens_details":\{[^{}\\]*\})?'
    rb'(?:,"server_tool_use":\{"web_search_requests":(\d{1,9}),"web_fetch_requests":(\d{1,9})\})?'
    rb'(?:,"service_tier":(?:null|"(\w*)"))?'
    rb'(?:,"cache_creation":\{"ephemeral_1h_input_tokens":' + _COUNT + rb',"ephemeral_5m_input_tokens":\d{1,15}\})?'
    rb'(?:,"inference_geo":(?:null|"[^"\\]*"))?'
    rb'(?:,"iterations":(?:null|\[((?:[^\[\]{}\\]|\{(?:[^\[\]{}\\]|\{[^\[\]{}\\]*\})*\})*)\]))?'
    rb'(?:,"speed":(?:null|"(\w*)"))?(?:,"fallback_credit":null)?\}'
)  # fmt: skip
_REST = (
    rb'(?:,"(?!requestId"|type"|timestamp"|cwd"|sessionId"|requestSessionId"|forkedFrom"|usage"|is)\w+":'
    + _PLAIN
    + rb")*+"
)
# 1 request, 2 minute, 3 second, 4 millisecond, 5 folder, 6 session, 7 session that asked
TAIL = re.compile(
    _REST + rb"\}" + _REST + rb'(?:,"requestId":"([^"\\]*)")?' + _REST + rb',"type":"assistant"' + _REST
    + rb',"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d)\.(\d{3})Z"' + _REST
    + rb',"cwd":"((?:[^"\\]|\\\\)*+)","sessionId":"([^"\\]*)"' + _REST + rb'(?:,"requestSessionId":"([^"\\]*)")?'
    + _REST + rb"\}\r?\n"
)  # fmt: skip
REQUEST = re.compile(rb'"requestId":"([^"\\]*)"')
TIMESTAMP = b'"timestamp":"'
MOMENT = re.compile(rb'"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d)\.(\d{3})Z"')
