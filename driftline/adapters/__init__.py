"""Each module speaks to one outside system; the only code that does IO."""
