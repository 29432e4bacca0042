"""What an assistant does unasked: its heartbeat, and jobs at their times; within budgets, never in
incidents."""
