"""Who may do what: projects and permissions."""
