"""KEDA's ScaledObject (keda.sh/v1alpha1) as a schema, as far as Usher uses it; a field it does not know is an error."""

from __future__ import annotations

from typing import Any

import jsonschema

_WHOLE = {"type": "integer", "minimum": 0}
_POLICY = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "value", "periodSeconds"],
    "properties": {
        "type": {"enum": ["Percent", "Pods"]},
        "value": {"type": "integer", "minimum": 1},
        "periodSeconds": {"type": "integer", "minimum": 1, "maximum": 1800},
    },
}
_RULES = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "stabilizationWindowSeconds": {"type": "integer", "minimum": 0, "maximum": 3600},
        "selectPolicy": {"enum": ["Max", "Min", "Disabled"]},
        "policies": {"type": "array", "minItems": 1, "items": _POLICY},
    },
}
_BEHAVIOUR = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"scaleUp": _RULES, "scaleDown": _RULES},
}
_ADVANCED = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "restoreToOriginalReplicaCount": {"type": "boolean"},
        "horizontalPodAutoscalerConfig": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"name": {"type": "string"}, "behavior": _BEHAVIOUR},
        },
    },
}
#: The scaler's own fields are strings, numbers among them.
_NUMBER = {"type": "string", "pattern": r"^\d+(\.\d+)?$"}
_PROMETHEUS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "metadata"],
    "properties": {
        "type": {"const": "prometheus"},
        "name": {"type": "string"},
        "metricType": {"enum": ["AverageValue", "Value"]},
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "required": ["serverAddress", "query", "threshold"],
            "properties": {
                "serverAddress": {"type": "string", "pattern": "^https?://"},
                "query": {"type": "string", "minLength": 1},
                "threshold": _NUMBER,
                "activationThreshold": _NUMBER,
                "ignoreNullValues": {"enum": ["true", "false"]},
            },
        },
    },
}
SCALED_OBJECT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "keda.sh/v1alpha1"},
        "kind": {"const": "ScaledObject"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["scaleTargetRef", "triggers"],
            "properties": {
                "scaleTargetRef": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["name"],
                    "properties": {name: {"type": "string"} for name in ("apiVersion", "kind", "name")},
                },
                "pollingInterval": _WHOLE,
                "cooldownPeriod": _WHOLE,
                "idleReplicaCount": _WHOLE,
                "minReplicaCount": _WHOLE,
                "maxReplicaCount": {"type": "integer", "minimum": 1},
                "advanced": _ADVANCED,
                "triggers": {"type": "array", "minItems": 1, "items": _PROMETHEUS},
            },
        },
    },
}


def check(scaled: dict[str, Any]) -> None:
    """Raises jsonschema.ValidationError for what KEDA would refuse or overlook."""
    jsonschema.validate(scaled, SCALED_OBJECT)
