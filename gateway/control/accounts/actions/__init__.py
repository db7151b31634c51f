"""What people do with accounts: come in, go out, change, leave; and the roles given to them."""

from gateway.control.accounts.actions.devices import devices, revoke, sweep
from gateway.control.accounts.actions.enter import ensure_guest, log_in, log_out, prove, register
from gateway.control.accounts.actions.password import forgot, reset
from gateway.control.accounts.actions.person import change, confirm, delete, export, me, needs_password
from gateway.control.accounts.actions.roles import add_account, assign, give_role, take_role

__all__ = [
    "add_account",
    "assign",
    "change",
    "confirm",
    "delete",
    "devices",
    "ensure_guest",
    "export",
    "forgot",
    "give_role",
    "log_in",
    "log_out",
    "me",
    "needs_password",
    "prove",
    "register",
    "reset",
    "revoke",
    "sweep",
    "take_role",
]
