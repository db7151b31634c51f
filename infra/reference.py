"""Pages of docs/ that are made from the code: the map of modules, settings, metrics, events, errors."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import msgspec

from infra import tree
from infra.tree import ROOT
from shared import errors, events, metrics, settings

PROCESSES: dict[str, type[settings.Common]] = {
    "Every process": settings.Common,
    "Edge": settings.EdgeSettings,
    "Control and worker": settings.ControlSettings,
    "Farm": settings.FarmSettings,
}
#: What `usher` itself reads, besides the settings of the processes it starts.
OF_THE_COMMANDS = {
    "USHER_PORT_BASE": ("8700", "first port of `run`: control, edge, Postgres, Valkey; private listeners from 10 on"),
    "MASTER": ("", "clip of the demo title of `run`; empty: one is drawn"),
    "USHER_ORIGIN": ("", "another Usher to act on, together with USHER_BEARER"),
    "USHER_BEARER": ("", "bearer token of the account to act as there"),
    "USHER_SECRET_<NAME>": ("", "a secret itself, such as USHER_SECRET_SESSION_HMAC; wins over its file"),
}
MADE = "<!-- made by `usher docs`; change the code instead -->"


def write() -> list[str]:
    """Rewrite all pages; the names of those that changed."""
    changed = []
    for name, page in PAGES.items():
        path, text = ROOT / name, page()
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed.append(name)
    return changed


def module_map() -> str:
    """Every module with its first line, folder by folder."""
    lines = [MADE, "# Map", "", "What each module is, in its own first line."]
    folder = None
    for path in tree.modules():
        if path.parent != folder:
            folder = path.parent
            lines += ["", f"## {folder}", ""]
        lines.append(f"- [{path.name}](../{path}): {_first_line(path)}")
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """Every setting: variable, form, default, meaning."""
    lines = [MADE, "# Settings", "", "Read from the environment once, at the start of a process."]
    shared_fields = settings.Common.__struct_fields__
    for process, kind in PROCESSES.items():
        lines += ["", f"## {process}", "", "| variable | default | meaning |", "|---|---|---|"]
        for field in msgspec.structs.fields(kind):
            if kind is settings.Common or field.name not in shared_fields:
                meaning = settings.description(kind, field.name)
                lines.append(f"| `{settings.variable(field.name)}` | `{field.default}` | {meaning} |")
    lines += ["", "## The commands", "", "| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | `{default}` | {meaning} |" for name, (default, meaning) in OF_THE_COMMANDS.items()]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Every metric: name, kind, labels, meaning."""
    lines = [MADE, "# Metrics", "", "On each process's private port, `/metrics`.", ""]
    lines += ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for name in dir(metrics):
        metric = getattr(metrics, name)
        if name.isupper() and hasattr(metric, "_documentation"):
            labels = ", ".join(metric._labelnames) or "–"
            total = "_total" if metric._type == "counter" else ""
            lines.append(f"| `{metric._name}{total}` | {metric._type} | {labels} | {metric._documentation} |")
    lines += ["", "And of each process itself `process_cpu_seconds_total`, `process_resident_memory_bytes`, "
              "`process_open_fds`, `process_start_time_seconds`."]  # fmt: skip
    return "\n".join(lines) + "\n"


def events_page() -> str:
    """Every event type with what its data holds."""
    lines = [MADE, "# Events", "", "Envelope: `id type at subject data v`, on the Redis stream `events`.", ""]
    lines += ["| type | data |", "|---|---|", *(f"| `{name}` | {data} |" for name, data in events.TYPES.items())]
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """The error tree with the HTTP status each class becomes."""
    from gateway.control.problems import STATUS  # infra stands over gateway; imported late to keep `usher` quick

    lines = [MADE, "# Errors", "", "Problems (RFC 9457) carry `code`; the status comes from the class.", ""]
    lines += ["| class | code | status | meaning |", "|---|---|---|---|"]
    for kind in _tree(errors.UsherError):
        status = next(status for parent, status, _ in STATUS if issubclass(kind, parent))
        lines.append(f"| `{kind.__name__}` | `{kind.code}` | {status} | {(kind.__doc__ or '').strip()} |")
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "docs/map.md": module_map,
    "docs/reference/settings.md": settings_page,
    "docs/reference/metrics.md": metrics_page,
    "docs/reference/events.md": events_page,
    "docs/reference/errors.md": errors_page,
}


def _tree(kind: type[errors.UsherError]) -> list[type[errors.UsherError]]:
    own = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return [kind, *(grandchild for child in own for grandchild in _tree(child))]


def _first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse((ROOT / path).read_text())) or ""
    return text.splitlines()[0] if text else ""
