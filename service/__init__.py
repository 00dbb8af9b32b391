"""The faces for people and Git hosts: webhooks, REST API, UI, command line."""
