"""Who may do what: policies and projects."""
