"""The parts that the demo brings along: a Git host, and the stage directions that show the product at work."""
