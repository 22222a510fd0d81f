"""otlp_read.py FOLDER Traces|Metrics FILE: a line a request, as protobuf's own reader takes it.

FOLDER has otlp_pb2.py. What that reader would let pass and OTLP does not is checked apart: ids are
hex, enums numbers, 64-bit integers strings, and names lowerCamelCase. Prints what was read.
"""
import base64
import json
import re
import sys

sys.path.insert(0, sys.argv[1])
from google.protobuf import json_format, text_format  # noqa: E402
import otlp_pb2  # noqa: E402

HEX_DIGITS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}
NUMBERS = {"kind", "code", "flags", "aggregationTemporality", "scale", "offset",
           "droppedAttributesCount", "droppedEventsCount", "droppedLinksCount"}
STRINGS = {"intValue", "asInt", "count", "zeroCount", "timeUnixNano", "startTimeUnixNano",
           "endTimeUnixNano"}


def check(name, value):
    """Raises unless it is as OTLP has it; returns it as json_format has it."""
    assert re.fullmatch("[a-z][A-Za-z0-9]*", name), name
    if name in HEX_DIGITS:
        assert re.fullmatch("[0-9a-f]{%d}" % HEX_DIGITS[name], value), (name, value)
        assert value.strip("0"), name
        return base64.b64encode(bytes.fromhex(value)).decode()
    if name in NUMBERS:
        assert type(value) is int, (name, value)
    if name in STRINGS:
        assert type(value) is str and re.fullmatch("-?[0-9]+", value), (name, value)
    if name == "bucketCounts":
        assert all(type(one) is str for one in value), value
    return walk(value)


def once(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), names
    return dict(pairs)


def walk(value):
    if isinstance(value, dict):
        return {name: check(name, member) for name, member in value.items()}
    return [walk(one) for one in value] if isinstance(value, list) else value


with open(sys.argv[3], encoding="utf-8") as lines:
    for line in lines:
        message = getattr(otlp_pb2, sys.argv[2])()
        request = walk(json.loads(line, object_pairs_hook=once))
        json_format.ParseDict(request, message, ignore_unknown_fields=False)
        print(text_format.MessageToString(message, as_one_line=True))
