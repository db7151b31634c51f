"""What is done with webhooks out: keep endpoints, take events in, send, give up, send again."""

from gateway.control.webhooks.actions.deliveries import (
    dead,
    listed,
    replay,
    replay_one,
    standings,
    sweep,
    take_in,
    test,
    waiting,
)
from gateway.control.webhooks.actions.endpoints import add, change, read, remove, rotate
from gateway.control.webhooks.actions.post import Post
from gateway.control.webhooks.actions.stores import Stores

__all__ = [
    "Post",
    "Stores",
    "add",
    "change",
    "dead",
    "listed",
    "read",
    "remove",
    "replay",
    "replay_one",
    "rotate",
    "standings",
    "sweep",
    "take_in",
    "test",
    "waiting",
]
