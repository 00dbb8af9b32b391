"""The demo's stand-in for Slack, for tests. It records any other POST under `/services/` too."""

from deploy.demo.slackhost import Call, Failure, SlackHost

__all__ = ["Call", "Failure", "SlackHost"]
