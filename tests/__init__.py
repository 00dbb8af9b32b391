"""Tests of Driftline, by room and by story."""
