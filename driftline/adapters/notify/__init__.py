"""Delivers messages: one module per channel."""
