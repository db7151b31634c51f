"""What is done with purchases: begin, pay, hear of them, share out, give back, settle."""

from gateway.control.checkout.actions.buy import ask, by_provider, from_wallet, top_up
from gateway.control.checkout.actions.hear import begun, booking, hear
from gateway.control.checkout.actions.partners import read_partners, read_purchase, set_partners
from gateway.control.checkout.actions.refunds import ask_refunds, refund, retry
from gateway.control.checkout.actions.reversals import ask_reversals
from gateway.control.checkout.actions.stores import Shop, Stores
from gateway.control.checkout.actions.turns import AT_ONCE, look_after, settle

__all__ = [
    "AT_ONCE",
    "Shop",
    "Stores",
    "ask",
    "ask_refunds",
    "ask_reversals",
    "begun",
    "booking",
    "by_provider",
    "from_wallet",
    "hear",
    "look_after",
    "read_partners",
    "read_purchase",
    "refund",
    "retry",
    "set_partners",
    "settle",
    "top_up",
]
