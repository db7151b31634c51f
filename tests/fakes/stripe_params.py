"""Stripe's parameters by the SDK's own declarations: a form as nested values, and what is wrong with their names."""

from __future__ import annotations

import re
import sys
from typing import Any
from urllib.parse import parse_qsl

from stripe._request_options import RequestOptions

#: What the SDK takes apart from the parameters, and sends as headers.
OPTIONS = frozenset(RequestOptions.__annotations__)
_KEY = re.compile(r"[^\[\]]+")
_CLASS = re.compile(r"\w*Params\w*")


class BadParameter(Exception):
    """A parameter that Stripe would refuse."""

    def __init__(self, code: str, param: str, words: str) -> None:
        super().__init__(words)
        self.code, self.param = code, param


def nested(form: str) -> dict[str, Any]:
    """`a[b][0]=c` as `{"a": {"b": {"0": "c"}}}`."""
    values: dict[str, Any] = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        *folders, last = _KEY.findall(name)
        place = values
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last if last else str(len(place))] = value
    return values


def check(values: dict[str, Any], kind: Any, path: str = "") -> None:
    """Refuse names that are not among a TypedDict's, ones that are missing, and integers that are none."""
    known = kind.__annotations__
    for name, value in values.items():
        where = f"{path}[{name}]" if path else name
        if name not in known or (not path and name in OPTIONS):
            raise BadParameter("parameter_unknown", where, f"Received unknown parameter: {where}")
        _check_value(value, str(known[name]), kind, where)
    for name in sorted(getattr(kind, "__required_keys__", ())):
        if name not in values:
            raise BadParameter("parameter_missing", name, f"Missing required param: {path}[{name}].")


def _check_value(value: Any, annotation: str, kind: Any, where: str) -> None:
    if not isinstance(value, dict):
        if re.search(r"\bint\b", annotation) and "str" not in annotation and not re.fullmatch(r"-?\d+", value):
            raise BadParameter("parameter_invalid_integer", where, f"Invalid integer: {value}")
        return
    module = vars(sys.modules[kind.__module__])
    kinds = [module[name] for name in _CLASS.findall(annotation) if name in module]
    if not kinds:
        if "Dict" in annotation or "List" in annotation:
            return
        raise BadParameter("parameter_invalid_hash", where, f"Invalid hash: {where}")
    is_list = "List[" in annotation and all(index.isdigit() for index in value)
    for index, item in value.items() if is_list else [("", value)]:
        check(item, kinds[0], f"{where}[{index}]" if is_list else where)
