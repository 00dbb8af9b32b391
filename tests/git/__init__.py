"""The Git adapter against real Git hosts, over HTTP, HTTPS and SSH."""
