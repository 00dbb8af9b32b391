"""Alerts, logs, Sentry and metrics against real servers on the loopback."""
