"""HTTP to places that others chose: the address is checked, the deadline holds, nothing comes from the environment."""
