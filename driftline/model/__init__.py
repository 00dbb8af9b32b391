"""The words every room shares: frozen values, no IO, no clock."""
