"""Kills, outages and races on the real installation: nothing is lost, nothing is done twice."""
