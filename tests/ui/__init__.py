"""The pages as people meet them: in a real browser, and over HTTP where that shows enough."""
