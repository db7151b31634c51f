"""What is done with jobs: queue, cancel, retry, apply what the farm says, and offer again what got lost."""

from gateway.control.jobs.actions.commands import cancel, find, queue, retry
from gateway.control.jobs.actions.editions import queue_edition
from gateway.control.jobs.actions.messages import apply
from gateway.control.jobs.actions.reaper import reap, stopped
from gateway.control.jobs.actions.stores import Reaper, Stores
from gateway.control.jobs.actions.views import latest, of_title, show

__all__ = [
    "Reaper",
    "Stores",
    "apply",
    "cancel",
    "find",
    "latest",
    "of_title",
    "queue",
    "queue_edition",
    "reap",
    "retry",
    "show",
    "stopped",
]
