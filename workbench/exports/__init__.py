"""What happened, in the formats of other tools: traces, diagrams, logs, figures."""
