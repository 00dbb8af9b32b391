"""Tests of the pure rooms, one folder each."""
