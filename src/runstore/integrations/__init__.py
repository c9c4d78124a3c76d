"""What runstore plugs into orchestrators; each module needs its orchestrator, and is used there."""
