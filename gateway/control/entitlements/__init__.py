"""Entitlements: who may watch what, and why."""
