"""The command line, `driftline`. Commands are loaded when they are called: starting must cost nothing."""
