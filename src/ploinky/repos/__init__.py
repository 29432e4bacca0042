"""Floor 3: repositories of agents: clone, update, find an agent."""
